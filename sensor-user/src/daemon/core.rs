//! What the daemon can do, as plain calls that block: the API, the watchers and the signals all come
//! here. Who may is decided here too.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sensor_ebpf::tag::Tag;

use super::config::{Config, ConfigError};
use super::hub::Hub;
use super::library::{self, Library, variables_of};
use super::metrics::Violations;
use super::past::Past;
use super::processes;
use super::sink::Sinks;
use crate::api::types::{self, AgentId, Canary, NewAgent, Reloaded};
use crate::engine::state::{AgentFile, Origin, PolicySource};
use crate::engine::{Engine, EngineError, Identity};
use crate::event::json::{Line, Subject};
use crate::event::subject::printable;
use crate::kernel::adopt::Arrival;
use crate::kernel::error::KernelError;
use crate::kernel::maps::Tags;
use crate::launch::user::User;
use crate::policy::{Compiled, Source, Variables};

/// Longest name of an agent, in bytes.
const NAME_MAX: usize = 64;

/// Whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user of the process that connected.
    pub uid: u32,
    /// The process.
    pub pid: u32,
}

impl Peer {
    /// The daemon itself.
    pub const SELF: Peer = Peer { uid: 0, pid: 0 };

    /// Whether everything is open to it.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.uid == 0
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Something is wrong with what was asked.
    #[error("{0}")]
    Bad(String),
    /// The peer may not.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// Not as things are.
    #[error("{0}")]
    Conflict(String),
    /// No room.
    #[error("{0}")]
    Full(String),
    /// The daemon could not.
    #[error("{0}")]
    Failed(String),
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Refusal {
        match error {
            EngineError::Kernel(KernelError::Full(what)) => Refusal::Full(format!(
                "no room for another {what}: there are as many as the kernel side takes"
            )),
            EngineError::Kernel(KernelError::NoAgent(tag)) => no_agent(tag.into()),
            other => Refusal::Failed(other.to_string()),
        }
    }
}

fn no_agent(id: AgentId) -> Refusal {
    Refusal::Missing(format!("there is no agent {id}"))
}

/// Everything that the daemon holds.
pub struct Core {
    config: Mutex<Arc<Config>>,
    config_path: Option<PathBuf>,
    engine: Mutex<Engine>,
    library: Mutex<Library>,
    /// The way out for events.
    pub hub: Hub,
    /// Violations, counted.
    pub violations: Violations,
    /// The map of tags.
    pub tags: Tags,
    /// How the kernel side came into force.
    pub arrival: Arrival,
    /// Since when the daemon runs.
    pub since: SystemTime,
    /// What the last canary found.
    pub canary: Mutex<Canary>,
    /// How often in a row each agent was found without a process.
    empty: Mutex<HashMap<Tag, u32>>,
    /// Held while losses are said.
    pub reporting: Mutex<()>,
}

/// Locks; a panic elsewhere has not broken what is behind it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// Over a kernel side in force.
    pub fn new(
        config: Config,
        config_path: Option<PathBuf>,
        engine: Engine,
        arrival: Arrival,
        sinks: Sinks,
        past: Past,
    ) -> Result<Core, EngineError> {
        Ok(Core {
            hub: Hub::new(sinks, past, config.limits.backlog),
            config: Mutex::new(Arc::new(config)),
            config_path,
            violations: Violations::default(),
            tags: engine.tags()?,
            engine: Mutex::new(engine),
            library: Mutex::default(),
            arrival,
            since: SystemTime::now(),
            canary: Mutex::default(),
            empty: Mutex::default(),
            reporting: Mutex::default(),
        })
    }

    /// The engine, for as long as the guard lives.
    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        lock(&self.engine)
    }

    /// The policies of the directory.
    pub fn library(&self) -> MutexGuard<'_, Library> {
        lock(&self.library)
    }

    /// The configuration as it is now.
    pub fn config(&self) -> Arc<Config> {
        lock(&self.config).clone()
    }

    /// Reads the configuration again. A wrong one leaves everything as it is. The socket, the state
    /// and the pins stay where they are until a restart.
    pub fn reconfigure(&self) -> Result<(), ConfigError> {
        let config = Config::read(self.config_path.as_deref())?;
        let before = self.config();
        if config.sinks != before.sinks {
            match Sinks::open(&config.sinks) {
                Ok(sinks) => self.hub.reconfigure(sinks, config.limits.backlog),
                Err(error) => {
                    self.notice("sinks left as they were", None, Some(&format!("{error:#}")));
                }
            }
        }
        *lock(&self.config) = Arc::new(config);
        Ok(())
    }

    /// Says in the stream what the daemon did.
    pub fn notice(&self, what: &str, agent: Option<&AgentFile>, detail: Option<&str>) {
        let of = agent.map(|agent| subject(&self.engine(), agent));
        self.hub.publish(Line::notice(what, of, detail));
    }

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
            let who = Identity { name, uid: peer.uid, origin: Some(origin) };
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
        use std::os::fd::AsFd as _;
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

    fn get(&self, tag: Tag) -> Result<AgentFile, Refusal> {
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

    fn show(&self, agent: &AgentFile, pids: &[u32]) -> types::Agent {
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
            processes: processes::describe(pids),
            events: counters.next_seq,
            lost: counters.lost,
            warnings: None,
        }
    }

    /// Takes an agent away that has no process any more.
    pub fn remove(&self, peer: Peer, id: AgentId) -> Result<(), Refusal> {
        let agent = self.owned(peer, id)?;
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

    fn forget(&self, agent: &AgentFile) -> Result<(), Refusal> {
        self.report_losses();
        self.notice("agent ended", Some(agent), None);
        lock(&self.empty).remove(&agent.tag());
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
                if tagged.contains_key(&tag) {
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
    }

    /// Whether a text can be put in force for anybody.
    pub fn try_policy(&self, source: &Source) -> Result<(), Refusal> {
        library::compile_for(source, &library::nobody(), false).map(drop).map_err(Refusal::Bad)
    }

    /// Reads the policies again and puts running agents under what they say now.
    pub fn reload(&self) -> Result<Reloaded, Refusal> {
        let directory = self.config().policies.directory.clone();
        let mut library = self.library();
        let before: BTreeMap<String, Option<Source>> = library
            .entries()
            .iter()
            .map(|(name, entry)| (name.clone(), entry.source.clone()))
            .collect();
        library.read(&directory).map_err(|error| {
            Refusal::Failed(format!("cannot read {}: {error}", directory.display()))
        })?;
        let mut moved = 0;
        for (name, groups) in self.groups() {
            let Some(source) = library.source(&name).cloned() else { continue };
            match self.move_agents(&source, groups) {
                Ok(count) => moved += count,
                Err(problem) => {
                    library.spoil(&name, before.get(&name).cloned().flatten(), problem);
                }
            }
        }
        let problems = library.problems();
        let policies = library.entries().values().filter(|entry| entry.source.is_some()).count();
        drop(library);
        for (file, problem) in &problems {
            self.notice("policy file has mistakes", None, Some(&format!("{file}: {problem}")));
        }
        Ok(Reloaded { policies, moved, problems })
    }

    /// Agents under policies of the directory, by policy and by what it is compiled with.
    fn groups(&self) -> BTreeMap<String, BTreeMap<Key, Vec<Tag>>> {
        let mut groups: BTreeMap<String, BTreeMap<Key, Vec<Tag>>> = BTreeMap::new();
        for agent in self.engine().agents() {
            if let Some(Origin { policy: PolicySource::Named(name), variables, audit }) =
                &agent.origin
            {
                let key = (variables.clone(), *audit);
                let tag = agent.tag();
                groups.entry(name.clone()).or_default().entry(key).or_default().push(tag);
            }
        }
        groups
    }

    /// Puts all agents of a policy under its new text, or none; how many that changed.
    fn move_agents(
        &self,
        source: &Source,
        groups: BTreeMap<Key, Vec<Tag>>,
    ) -> Result<usize, String> {
        let mut changes: Vec<(Tag, Arc<Compiled>)> = Vec::new();
        for ((variables, audit), tags) in groups {
            let compiled = Arc::new(library::compile_for(source, &Variables(variables), audit)?);
            changes.extend(tags.into_iter().map(|tag| (tag, compiled.clone())));
        }
        let mut engine = self.engine();
        // An agent that has ended since the groups were made.
        changes.retain(|(tag, _)| engine.agent(*tag).is_some());
        let table = |engine: &Engine, tag| engine.agent(tag).map(|agent| agent.table);
        let before: Vec<_> = changes.iter().map(|(tag, _)| table(&engine, *tag)).collect();
        engine.switch(&changes).map_err(|error| error.to_string())?;
        let after = changes.iter().map(|(tag, _)| table(&engine, *tag));
        Ok(before.into_iter().zip(after).filter(|(before, after)| before != after).count())
    }
}

/// What a policy of the directory is compiled with: variables, and whether it is only audited.
type Key = (BTreeMap<String, String>, bool);

/// An agent, as lines name it.
pub fn subject(engine: &Engine, agent: &AgentFile) -> Subject<'static> {
    // As it is now: it may have been put under another version since.
    let table = engine.agent(agent.tag()).map_or(agent.table, |agent| agent.table);
    let version = engine.version(table);
    Subject {
        agent: agent.name.clone().into(),
        agent_id: AgentId::from(agent.tag()).to_string().into(),
        owner: Some(agent.uid),
        policy: version.map_or("unknown", |version| &version.policy).to_owned().into(),
        version: version.map_or("", |version| &version.digest).to_owned().into(),
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

/// The refusal for something that only root may.
pub fn forbidden(what: &str) -> Refusal {
    Refusal::Forbidden(format!("only root may {what}"))
}

/// The refusal for a policy that is not there, or was never right.
pub fn no_policy(library: &Library, name: &str) -> Refusal {
    match library.entries().get(name).and_then(|entry| entry.problem.as_ref()) {
        Some(problem) => Refusal::Conflict(format!("the policy {name:?} has mistakes:\n{problem}")),
        None => Refusal::Missing(format!("the daemon has no policy {name:?}")),
    }
}

fn cannot_look(error: std::io::Error) -> Refusal {
    Refusal::Failed(format!("cannot look at processes: {error}"))
}
