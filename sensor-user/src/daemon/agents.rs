//! Agents: making them, letting processes in, taking them away.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use sensor_ebpf::tag::Tag;

use super::core::{Core, lock};
use super::library::{self, variables_of};
use super::peer::{Peer, Refusal, cannot_look, forbidden, no_agent, no_policy};
use super::processes;
use crate::api::types::{self, AgentId, Ended, NewAgent};
use crate::engine::state::{AgentFile, Origin, PolicySource};
use crate::engine::{EngineError, Identity};
use crate::event::subject::printable;
use crate::kernel::sys;
use crate::launch::user::User;
use crate::policy::{Source, Variables};

/// How long ending an agent may take.
const END_TIME: Duration = Duration::from_secs(10);
/// How long the events of an agent that has ended are waited for.
const LET_OUT_TIME: Duration = Duration::from_secs(5);
/// The same where they may never come.
const UNSURE_TIME: Duration = Duration::from_millis(300);
/// How often either is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// Longest name of an agent, in bytes.
const NAME_MAX: usize = 64;

impl Core {
    /// Makes an agent that has no process yet.
    pub fn create(&self, peer: Peer, new: NewAgent) -> Result<types::Agent, Refusal> {
        let (source, origin, variables) = self.plan(peer, &new)?;
        let compiled =
            library::compile_for(&source, &variables, new.audit).map_err(Refusal::Bad)?;
        let warnings = compiled.warnings.render(false);
        let name = new.name.unwrap_or_else(|| compiled.name.clone());
        check_name(&name)?;
        let tag = {
            let mut engine = self.engine();
            let own = engine.agents().filter(|agent| agent.uid == peer.uid).count();
            let most = self.config().limits.agents_per_user;
            if !peer.is_root() && own >= most {
                return Err(Refusal::Full(format!(
                    "you have {own} agents; the administrator allows {most} (limits.agents_per_user)"
                )));
            }
            let who = Identity { name, uid: peer.uid, origin: Some(origin), rule: None };
            engine.add_agent(who, &compiled)?
        };
        let agent = self.get(tag)?;
        self.notice("agent started", Some(&agent), None);
        let mut shown = self.show(&agent, &[]);
        shown.warnings = Some(warnings).filter(|text| !text.is_empty());
        Ok(shown)
    }

    /// Which text an agent is to be under, with which variables, and how to find it again.
    fn plan(&self, peer: Peer, new: &NewAgent) -> Result<(Source, Origin, Variables), Refusal> {
        if !peer.is_root() && new.audit {
            return Err(forbidden("start an agent that is only audited"));
        }
        let variables = variables(peer, &new.variables)?;
        let (source, policy) = match (&new.policy, &new.source) {
            (Some(name), None) => {
                let offered = self.config().policies.offered.iter().any(|offered| offered == name);
                if !peer.is_root() && !offered {
                    return Err(Refusal::Forbidden(format!(
                        "the administrator does not offer the policy {name:?} (policies.offered)"
                    )));
                }
                let library = self.library();
                let source = library.source(name).cloned();
                let source = source.ok_or_else(|| no_policy(&library, name))?;
                (source, PolicySource::Named(name.clone()))
            }
            (None, Some(_)) if !peer.is_root() => {
                return Err(forbidden("bring a policy of its own"));
            }
            (None, Some(text)) => {
                let source = Source { name: text.file.clone(), text: text.text.clone() };
                (source, PolicySource::Given)
            }
            _ => return Err(Refusal::Bad("give either `policy` or `source`".to_owned())),
        };
        let origin = Origin { policy, variables: variables.0.clone(), audit: new.audit };
        Ok((source, origin, variables))
    }

    /// Makes a process one of an agent.
    pub fn enter(&self, peer: Peer, id: AgentId, pid: u32) -> Result<(), Refusal> {
        let agent = self.owned(peer, id)?;
        processes::same_numbers(peer.pid).map_err(Refusal::Conflict)?;
        let gone = |error| Refusal::Missing(format!("no process {pid} can be tagged: {error}"));
        let held = processes::hold(pid).map_err(gone)?;
        if !peer.is_root() && held.status.uids != [peer.uid; 4] {
            return Err(Refusal::Forbidden(format!("process {pid} is not yours")));
        }
        if held.status.tgid != pid || held.status.threads != 1 {
            return Err(Refusal::Conflict(format!(
                "process {pid} has several threads; only one that waits to begin can be tagged so"
            )));
        }
        let tag = agent.tag();
        match self.tags.of(held.fd.as_fd()).map_err(gone)? {
            Some(other) if other != tag => {
                let other = AgentId::from(other);
                Err(Refusal::Conflict(format!("process {pid} is of agent {other} already")))
            }
            _ => self.tags.set(held.fd.as_fd(), tag).map_err(gone),
        }
    }

    /// An agent that the peer may touch. To others it is not there.
    pub fn owned(&self, peer: Peer, id: AgentId) -> Result<AgentFile, Refusal> {
        let agent = self.get(id.into())?;
        if peer.is_root() || agent.uid == peer.uid { Ok(agent) } else { Err(no_agent(id)) }
    }

    pub(super) fn get(&self, tag: Tag) -> Result<AgentFile, Refusal> {
        self.engine().agent(tag).cloned().ok_or_else(|| no_agent(tag.into()))
    }

    /// The agents that a peer may see.
    pub fn agents(&self, peer: Peer) -> Result<Vec<types::Agent>, Refusal> {
        let tagged = processes::tagged(&self.tags).map_err(cannot_look)?;
        let agents: Vec<AgentFile> = {
            let engine = self.engine();
            engine.agents().filter(|a| peer.is_root() || a.uid == peer.uid).cloned().collect()
        };
        let pids = |agent: &AgentFile| tagged.get(&agent.tag()).cloned().unwrap_or_default();
        Ok(agents.iter().map(|agent| self.show(agent, &pids(agent))).collect())
    }

    /// One agent.
    pub fn agent(&self, peer: Peer, id: AgentId) -> Result<types::Agent, Refusal> {
        let agent = self.owned(peer, id)?;
        let tagged = processes::tagged(&self.tags).map_err(cannot_look)?;
        Ok(self.show(&agent, tagged.get(&id.into()).map_or(&[], Vec::as_slice)))
    }

    pub(super) fn show(&self, agent: &AgentFile, pids: &[u32]) -> types::Agent {
        let engine = self.engine();
        let tag = agent.tag();
        let counters = engine.counters(tag).unwrap_or_default();
        let table = engine.agent(tag).map_or(agent.table, |agent| agent.table);
        let version = engine.version(table);
        types::Agent {
            id: tag.into(),
            name: agent.name.clone(),
            policy: version.map_or("unknown", |version| &version.policy).to_owned(),
            version: version.map_or("", |version| &version.digest).to_owned(),
            audit: version.is_some_and(|version| version.audit),
            uid: agent.uid,
            since: humantime::format_rfc3339_seconds(agent.since).to_string(),
            processes: processes::describe(pids, &self.intake.redact()),
            rule: agent.rule.clone(),
            events: counters.next_seq,
            lost: counters.lost,
            warnings: None,
        }
    }

    /// Takes an agent away that has no process any more.
    pub fn remove(&self, peer: Peer, id: AgentId) -> Result<(), Refusal> {
        let agent = self.owned(peer, id)?;
        if let Some(rule) = &agent.rule {
            return Err(Refusal::Conflict(format!(
                "agent {id} is there for a rule of the configuration ({rule}); take that out"
            )));
        }
        let tagged = processes::tagged(&self.tags).map_err(cannot_look)?;
        if let Some(pids) = tagged.get(&id.into()) {
            let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
            return Err(Refusal::Conflict(format!(
                "agent {id} still runs: processes {}; end them first",
                pids.join(", ")
            )));
        }
        self.forget(&agent)
    }

    /// Ends all processes of an agent, without asking them, whoever they have become. It has ended when
    /// this returns.
    pub fn end(&self, peer: Peer, id: AgentId) -> Result<Ended, Refusal> {
        let agent = self.owned(peer, id)?;
        let begun = Instant::now();
        let mut ended = BTreeSet::new();
        loop {
            let found = processes::of(&self.tags, agent.tag()).map_err(cannot_look)?;
            if found.is_empty() {
                return Ok(Ended { processes: ended.len() });
            }
            if begun.elapsed() > END_TIME {
                let left: Vec<String> = found.iter().map(|held| held.pid.to_string()).collect();
                return Err(Refusal::Failed(format!(
                    "agent {id} does not end: processes {} are left",
                    left.join(", ")
                )));
            }
            for process in found {
                ended.insert(process.pid);
                let _ = sys::pidfd_kill(process.fd.as_fd(), libc::SIGKILL);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until what an agent did is in the stream, for a while. Its processes have ended, so no more
    /// is to come; but the last of it may have been lost, and of what a daemon before this one passed on
    /// this one does not know.
    fn let_out(&self, agent: &AgentFile) {
        let begun = Instant::now();
        loop {
            let Ok(counters) = self.engine().counters(agent.tag()) else { return };
            let seen = lock(&self.seen).get(&agent.tag()).copied();
            if counters.next_seq == seen.unwrap_or(0) {
                return;
            }
            let unsure = counters.lost > 0 || seen.is_none();
            if begun.elapsed() > if unsure { UNSURE_TIME } else { LET_OUT_TIME } {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    pub(super) fn forget(&self, agent: &AgentFile) -> Result<(), Refusal> {
        self.let_out(agent);
        self.say_counted(Some(agent.tag()));
        self.report_losses();
        self.notice("agent ended", Some(agent), None);
        lock(&self.empty).remove(&agent.tag());
        lock(&self.seen).remove(&agent.tag());
        let tag = agent.tag();
        Ok(self.engine().remove(tag).map_err(EngineError::from)?)
    }

    /// Takes agents away that have ended. One that never had a process gets longer.
    pub fn sweep(&self) {
        const LOOKS: u32 = 2;
        const LOOKS_AT_FIRST: u32 = 12;
        let Ok(tagged) = processes::tagged(&self.tags) else { return };
        let agents: Vec<AgentFile> = self.engine().agents().cloned().collect();
        let mut over = Vec::new();
        {
            let mut empty = lock(&self.empty);
            for agent in agents {
                let tag = agent.tag();
                if agent.rule.is_some() || tagged.contains_key(&tag) {
                    // From now on it has had one.
                    empty.insert(tag, LOOKS_AT_FIRST - LOOKS);
                    continue;
                }
                let looks = empty.entry(tag).or_default();
                *looks += 1;
                if *looks >= LOOKS_AT_FIRST {
                    over.push(agent);
                }
            }
        }
        for agent in over {
            // Somebody else may have taken it away meanwhile.
            let _ = self.forget(&agent);
        }
        // Programs and cgroups may be elsewhere by now.
        if !self.config().tag.is_empty() {
            self.put_rules();
        }
    }
}

/// The variables of an agent that `peer` asks for.
fn variables(peer: Peer, given: &BTreeMap<String, String>) -> Result<Variables, Refusal> {
    let user = User::find(&peer.uid.to_string()).unwrap_or_else(|_| User::unknown(peer.uid));
    let mut variables = variables_of(&user, &user.home);
    for (name, value) in given {
        if !Variables::is_name(name) {
            return Err(Refusal::Bad(format!("{name:?} is not a variable's name")));
        }
        let fixed = ["user", "uid", "home"].contains(&name.as_str());
        if !fixed || peer.is_root() {
            variables.set(name, value);
        }
    }
    Ok(variables)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let plain = !name.is_empty() && name.len() <= NAME_MAX && printable(name.as_bytes()) == name;
    if plain {
        return Ok(());
    }
    let what = format!("an agent's name has 1 to {NAME_MAX} bytes of printable text");
    Err(Refusal::Bad(what))
}
