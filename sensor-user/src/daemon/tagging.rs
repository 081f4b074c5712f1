//! The configuration's rules for tagging: who runs a program, or is in a cgroup, is of an agent that is
//! always there for it. The kernel side applies them by itself, also while no daemon runs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sensor_ebpf::tag::Tag;

use super::attach;
use super::config::TagRule;
use super::core::{Core, lock};
use super::library::{self, variables_of};
use super::peer::no_policy;
use crate::engine::Identity;
use crate::engine::state::{AgentFile, Origin, PolicySource};
use crate::kernel::rules::TagRules;
use crate::launch::user::User;
use crate::policy::Variables;

/// How the rules are, as of when they were last looked at.
#[derive(Debug, Default)]
pub struct Standing {
    /// What is in force.
    rules: Option<TagRules>,
    /// What is wrong: rule and why.
    pub problems: Vec<(String, String)>,
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
        for (group, tag) in groups {
            if let Err(refusal) = self.gather(tag, |_| attach::members(&group)) {
                problems.push((group.display().to_string(), refusal.to_string()));
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
fn place(rule: &TagRule, tag: Tag, rules: &mut TagRules) -> Result<Option<(PathBuf, Tag)>, String> {
    let group = match (&rule.exec, &rule.cgroup, &rule.unit) {
        (Some(program), ..) => {
            let path = resolve(program).map_err(|error| error.to_string())?;
            rules.add_path(&path, tag).map_err(|error| error.to_string())?;
            return Ok(None);
        }
        (_, Some(at), _) => attach::cgroup(at),
        (_, _, Some(name)) => attach::unit(name),
        _ => return Err("it names nothing".to_owned()),
    };
    // One that is not there yet will be looked for again.
    let Ok(group) = group else { return Ok(None) };
    let id = fs::metadata(&group).map_err(|error| error.to_string())?.ino();
    rules.add_cgroup(id, tag).map_err(|error| error.to_string())?;
    Ok(Some((group, tag)))
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
