//! The configuration's rules for tagging: who runs a program, or is in a cgroup, is of an agent that is
//! always there for it. The kernel side applies them by itself, also while no daemon runs.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sensor_ebpf::tag::Tag;
use sensor_ebpf::tagging::LEVELS;

use super::attach;
use super::config::TagRule;
use super::core::{Core, lock};
use super::library::{self, variables_of};
use super::peer::{Refusal, no_policy};
use crate::engine::Identity;
use crate::engine::state::{AgentFile, Origin, PolicySource};
use crate::kernel::rules::TagRules;
use crate::kernel::sys;
use crate::launch::user::User;
use crate::policy::Variables;

/// How long a process is left alone that is in a container and was not tagged there: an engine's takes less
/// than that to have the container's program run, which tags it.
const SETTLED: Duration = Duration::from_secs(5);

/// How the rules are, as of when they were last looked at.
#[derive(Debug, Default)]
pub struct Standing {
    /// What is in force.
    rules: Option<TagRules>,
    /// What is wrong: rule and why.
    pub problems: Vec<(String, String)>,
    /// Who was in a container when they were last looked at, and since when.
    contained: BTreeMap<u32, Instant>,
}

/// A cgroup whose processes a rule is about.
struct Group {
    path: PathBuf,
    tag: Tag,
    /// Of containers: the mount namespace that none of them is in.
    engines: Option<u32>,
}

impl Core {
    /// Puts what the configuration says in force: agents for its rules, the kernel side's rules, and
    /// whoever is in a cgroup already. A rule that cannot be in force is said to be so, and what it was
    /// before stays.
    pub fn put_rules(&self) {
        let config = self.config();
        let mut standing = lock(&self.standing);
        let mut rules = TagRules::default();
        let mut problems = Vec::new();
        let mut groups = Vec::new();
        for rule in &config.tag {
            let known = self.known(rule);
            let tag = match self.agent_for(rule, known.as_ref()) {
                Ok(tag) => Some(tag),
                Err(problem) => {
                    problems.push((rule.key(), problem));
                    // Under what it was under.
                    known.map(|agent| agent.tag())
                }
            };
            match tag.map(|tag| place(rule, tag, &mut rules)) {
                Some(Ok(Some(group))) => groups.push(group),
                Some(Ok(None)) | None => {}
                Some(Err(problem)) => problems.push((rule.key(), problem)),
            }
        }
        if standing.rules.as_ref() != Some(&rules) {
            match self.engine().put_rules(&rules) {
                Ok(()) => standing.rules = Some(rules),
                Err(error) => problems.push(("all rules".to_owned(), error.to_string())),
            }
        }
        let before = std::mem::take(&mut standing.contained);
        let now = Instant::now();
        for Group { path, tag, engines } in groups {
            let taken = match engines {
                None => self.gather(tag, |_| attach::members(&path)),
                Some(engines) => self.gather(tag, |_| {
                    let mut inside = contained(attach::members(&path)?, engines);
                    inside.retain(|pid| {
                        let since = before.get(pid).copied().unwrap_or(now);
                        standing.contained.insert(*pid, since);
                        now.duration_since(since) >= SETTLED
                    });
                    Ok(inside)
                }),
            };
            if let Err(refusal) = taken {
                problems.push((path.display().to_string(), refusal.to_string()));
            }
        }
        self.retire_rules(&config.tag);
        for (rule, problem) in problems.iter().filter(|new| !standing.problems.contains(new)) {
            super::say(&format!("the rule for {rule} is not in force: {problem}"));
            let detail = format!("{rule}: {problem}");
            self.notice("rule for tagging is not in force", None, Some(&detail));
        }
        standing.problems = problems;
    }

    /// The agent that is there for a rule already.
    fn known(&self, rule: &TagRule) -> Option<AgentFile> {
        let key = rule.key();
        self.engine().agents().find(|agent| agent.rule.as_ref() == Some(&key)).cloned()
    }

    /// The agent that is there for a rule, put under the policy that the rule says, or made.
    fn agent_for(&self, rule: &TagRule, known: Option<&AgentFile>) -> Result<Tag, String> {
        let key = rule.key();
        let origin = Origin {
            policy: PolicySource::Named(rule.policy.clone()),
            variables: variables(rule)?,
            audit: false,
        };
        if let Some(agent) = known
            && agent.origin.as_ref() == Some(&origin)
        {
            return Ok(agent.tag());
        }
        let source = {
            let library = self.library();
            let source = library.source(&rule.policy).cloned();
            source.ok_or_else(|| no_policy(&library, &rule.policy).to_string())?
        };
        let variables = Variables(origin.variables.clone());
        let compiled = library::compile_for(&source, &variables, false)?;
        let mut engine = self.engine();
        if let Some(agent) = known {
            let settled = engine.settle(agent.tag(), &Arc::new(compiled), origin, Some(key));
            return settled.map(|()| agent.tag()).map_err(|error| error.to_string());
        }
        let name = rule.name.clone().unwrap_or_else(|| rule.policy.clone());
        let who = Identity { name, uid: 0, origin: Some(origin), rule: Some(key) };
        let tag = engine.add_agent(who, &compiled).map_err(|error| error.to_string())?;
        let agent = engine.agent(tag).cloned();
        drop(engine);
        self.notice("agent started", agent.as_ref(), Some("for a rule of the configuration"));
        Ok(tag)
    }

    /// Agents whose rule is gone go when their last process has.
    fn retire_rules(&self, wanted: &[TagRule]) {
        let keys: Vec<String> = wanted.iter().map(TagRule::key).collect();
        let mut engine = self.engine();
        let gone = |rule: &Option<String>| rule.as_ref().is_some_and(|rule| !keys.contains(rule));
        let retired: Vec<Tag> =
            engine.agents().filter(|agent| gone(&agent.rule)).map(AgentFile::tag).collect();
        for tag in retired {
            let _ = engine.retire_rule(tag);
        }
    }
}

/// Puts a rule among those of the kernel side; the cgroup that it is about, if it is there.
fn place(rule: &TagRule, tag: Tag, rules: &mut TagRules) -> Result<Option<Group>, String> {
    let (group, engines) = match (&rule.exec, &rule.cgroup, &rule.containers, &rule.unit) {
        (Some(program), ..) => {
            let path = resolve(program).map_err(|error| error.to_string())?;
            rules.add_path(&path, tag).map_err(|error| error.to_string())?;
            return Ok(None);
        }
        (_, Some(at), ..) => (attach::cgroup(at), None),
        (_, _, Some(at), _) => {
            // The machine's own, which its first process is in.
            let number = mount_namespace(1).map_err(|error| error.to_string())?;
            (attach::cgroup(at), Some(number))
        }
        (.., Some(name)) => (attach::unit(name), None),
        _ => return Err("it names nothing".to_owned()),
    };
    let path = match group {
        Ok(path) => path,
        // One that does not run yet will be looked for again.
        Err(Refusal::Missing(_)) if rule.unit.is_some() => return Ok(None),
        Err(refusal) => return Err(refusal.to_string()),
    };
    let directory = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    if !sys::is_cgroup2(&directory) {
        return Err(format!("{} is not of cgroup v2", path.display()));
    }
    let depth = path.components().count() - Path::new(attach::CGROUPS).components().count();
    if depth >= LEVELS as usize {
        return Err(format!(
            "its cgroup is {depth} levels below the root, and a rule's may be {}",
            LEVELS - 1
        ));
    }
    let id = fs::metadata(&path).map_err(|error| error.to_string())?.ino();
    let added = match engines {
        None => rules.add_cgroup(id, tag),
        Some(engines) => rules.add_containers(id, tag, engines),
    };
    added.map_err(|error| error.to_string())?;
    Ok(Some(Group { path, tag, engines }))
}

/// The number of a process's mount namespace.
fn mount_namespace(pid: u32) -> io::Result<u32> {
    let number = fs::metadata(format!("/proc/{pid}/ns/mnt"))?.ino();
    u32::try_from(number).map_err(io::Error::other)
}

/// Those of these processes that are in a container.
fn contained(mut pids: Vec<u32>, engines: u32) -> Vec<u32> {
    pids.retain(|pid| mount_namespace(*pid).is_ok_and(|number| number != engines));
    pids
}

/// Where a program is. Links are followed now, and again each time that the rules are looked at; one that
/// is not there yet is where its directory is.
fn resolve(program: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(program) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = program.parent().and_then(|parent| fs::canonicalize(parent).ok());
            let name = program.file_name();
            Ok(directory.zip(name).map_or_else(|| program.to_owned(), |(dir, name)| dir.join(name)))
        }
        found => found,
    }
}

/// What a rule's policy is compiled with. A rule is about nobody in particular: without a user in it
/// there is no home directory either, and a policy that asks for one is refused.
fn variables(rule: &TagRule) -> Result<BTreeMap<String, String>, String> {
    let mut variables = match &rule.user {
        Some(user) => {
            let user = User::find(user).map_err(|error| error.to_string())?;
            let mut all = variables_of(&user, "").0;
            all.remove("workspace");
            all
        }
        None => BTreeMap::new(),
    };
    variables.extend(rule.variables.clone());
    Ok(variables)
}
