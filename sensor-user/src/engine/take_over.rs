//! Finding what a process before this one left in the kernel: agents, and the policies that they are under.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use sensor_ebpf::limits::AGENTS_MAX;
use sensor_ebpf::tag::{CUT_OFF, Tag};

use super::slots::Version;
use super::state::AgentFile;
use super::{Engine, EngineError};
use crate::kernel::load::KernelError;

impl Engine {
    /// Finds the agents and policies that are in the maps, and what the state says of them.
    pub(super) fn take_over(&mut self) -> Result<(), EngineError> {
        let Some(state) = &self.state else { return Ok(()) };
        let mut known = HashMap::new();
        for agent in state.agents()? {
            known.insert((agent.slot, agent.epoch), agent);
        }
        for version in state.versions()? {
            self.versions.insert(version.table, Arc::new(version));
        }
        let mut stray = known.clone();
        for slot in 0..AGENTS_MAX {
            let in_kernel = self.kernel().agent(slot)?;
            if in_kernel.epoch == 0 {
                continue;
            }
            stray.remove(&(slot, in_kernel.epoch));
            // The kernel gives a table only as a whole: megabytes, once for all agents that share it.
            let table = match self.slots.get(in_kernel.policy) {
                Some(slot) => slot.version.table,
                None => self.kernel().maps().table_id(in_kernel.policy)?.unwrap_or(0),
            };
            let agent = known.remove(&(slot, in_kernel.epoch)).unwrap_or_else(|| AgentFile {
                slot,
                epoch: in_kernel.epoch,
                name: format!("unknown-{slot}"),
                uid: 0,
                since: SystemTime::now(),
                table,
                origin: None,
                rule: None,
            });
            let version = self.versions.entry(table).or_insert_with(|| {
                let policy = "unknown".to_owned();
                let digest = format!("table-{table}");
                Arc::new(Version {
                    table,
                    policy,
                    digest,
                    audit: false,
                    bytes: 0,
                    rules: Vec::new(),
                })
            });
            if self.slots.get(in_kernel.policy).is_none() {
                self.slots.put(in_kernel.policy, version.clone());
            }
            self.slots.enter(in_kernel.policy);
            if in_kernel.flags & CUT_OFF != 0 {
                self.cut_off.insert(Tag { agent: slot, epoch: in_kernel.epoch });
            }
            self.agents.insert(slot, AgentFile { table, ..agent });
        }
        // Agents that were written down and never came to be.
        for (slot, _) in stray.into_keys() {
            if !self.agents.contains_key(&slot) {
                self.forget_file(slot);
            }
        }
        self.clear_unused()?;
        let mut old: Vec<u32> = self.versions.keys().copied().collect();
        old.retain(|table| !self.slots.used().any(|(_, slot)| slot.version.table == *table));
        old.sort_unstable();
        old.into_iter().for_each(|table| self.retire(table));
        Ok(())
    }

    /// Tables that a process before this one installed and put nobody under.
    fn clear_unused(&mut self) -> Result<(), KernelError> {
        for slot in self.slots.free().collect::<Vec<_>>() {
            self.kernel().maps().clear_table(slot)?;
        }
        Ok(())
    }
}
