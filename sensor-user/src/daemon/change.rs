//! Policies that change under running agents: all of a policy's agents are under its new text, or
//! none is.

use std::collections::BTreeMap;
use std::sync::Arc;

use sensor_ebpf::tag::Tag;

use super::core::Core;
use super::heap;
use super::library;
use super::peer::Refusal;
use crate::api::types::Reloaded;
use crate::engine::Engine;
use crate::engine::state::{Origin, PolicySource};
use crate::policy::{Compiled, Source, Variables};

impl Core {
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
        heap::give_back();
        self.put_rules();
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
