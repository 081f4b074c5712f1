//! Changing policies under running agents, all at once or not at all.

use std::collections::HashMap;
use std::sync::Arc;

use sensor_ebpf::tag::Tag;

use super::slots::{self, Version};
use super::{Engine, EngineError};
use crate::kernel::load::KernelError;
use crate::kernel::maps::Table;
use crate::policy::Compiled;

/// A table on its way into a slot.
struct Incoming {
    slot: u32,
    version: Arc<Version>,
    table: Table,
}

impl Engine {
    /// Gives an agent another policy. What its processes are doing just now is judged by one of the
    /// two as a whole; when this returns, by the new one.
    pub fn replace(&mut self, tag: Tag, policy: Compiled) -> Result<(), EngineError> {
        self.switch(&[(tag, Arc::new(policy))])
    }

    /// Gives agents other policies. Everything that can fail for want of room is done before the
    /// first of them is under its new one, and undone if it fails.
    pub fn switch(&mut self, changes: &[(Tag, Arc<Compiled>)]) -> Result<(), EngineError> {
        let mut moves = Vec::with_capacity(changes.len());
        for (tag, policy) in changes {
            let slot = self.agent_of(*tag)?.slot;
            moves.push((*tag, self.kernel().agent(slot)?.policy, policy));
        }
        let (targets, incoming) = self.prepare(&moves)?;
        for new in &incoming {
            if let Some(state) = &self.state {
                state.put_version(&new.version)?;
            }
        }
        let mut emptied = Vec::new();
        for new in incoming {
            self.kernel().maps().put_table(new.slot, &new.table)?;
            self.versions.insert(new.version.table, new.version.clone());
            if let Some(old) = self.slots.get(new.slot) {
                let old = old.version.table;
                self.retire(old);
            }
            self.slots.put(new.slot, new.version);
        }
        for ((tag, from, _), to) in moves.iter().zip(&targets) {
            if from != to {
                self.slots.enter(*to);
                self.kernel().maps().move_agent(*tag, *to)?;
                if self.slots.leave(*from) {
                    emptied.push(*from);
                }
            }
            let table = self.slots.get(*to).map_or(0, |slot| slot.version.table);
            self.note_table(*tag, table)?;
        }
        self.empty(&emptied)
    }

    /// Decides which slot each agent goes to, and makes the tables that are not there yet. Changes
    /// nothing.
    fn prepare(
        &mut self,
        moves: &[(Tag, u32, &Arc<Compiled>)],
    ) -> Result<(Vec<u32>, Vec<Incoming>), EngineError> {
        // How many of a slot's users go where: if all go to one place, that place is their slot.
        let mut going: HashMap<u32, HashMap<(&str, String), usize>> = HashMap::new();
        let mut digests: HashMap<*const Compiled, String> = HashMap::new();
        let mut keys = Vec::with_capacity(moves.len());
        for (_, from, policy) in moves {
            let digest =
                digests.entry(Arc::as_ptr(policy)).or_insert_with(|| slots::digest(policy));
            let key = (policy.name.as_str(), digest.clone());
            *going.entry(*from).or_default().entry(key.clone()).or_default() += 1;
            keys.push(key);
        }
        let mut free: Vec<u32> = self.slots.free().collect();
        free.reverse();
        let mut placed: HashMap<(&str, String), u32> = HashMap::new();
        let mut targets = Vec::with_capacity(moves.len());
        let mut incoming = Vec::new();
        for ((_, from, policy), key) in moves.iter().zip(keys) {
            if let Some(slot) = placed.get(&key) {
                targets.push(*slot);
                continue;
            }
            let slot = match self.slots.find(key.0, &key.1) {
                Some(slot) if !replaced(&incoming, slot) => slot,
                _ => {
                    let users = self.slots.get(*from).map_or(0, |slot| slot.users);
                    let all = going.get(from).and_then(|to| to.get(&key)) == Some(&users);
                    // A slot that somebody else of this change comes to stays as it is.
                    let kept = placed.values().any(|slot| slot == from);
                    let slot = if all && !kept { Some(*from) } else { free.pop() };
                    let slot = slot.ok_or(KernelError::Full("policy"))?;
                    let version = Arc::new(Version::new(self.next_table()?, policy));
                    let table = self.kernel().maps().make_table(version.table, &policy.table)?;
                    incoming.push(Incoming { slot, version, table });
                    slot
                }
            };
            placed.insert(key, slot);
            targets.push(slot);
        }
        Ok((targets, incoming))
    }

    /// Writes down which table an agent is under.
    fn note_table(&mut self, tag: Tag, table: u32) -> Result<(), EngineError> {
        let Some(agent) = self.agents.get_mut(&tag.agent) else { return Ok(()) };
        if agent.table != table {
            agent.table = table;
            if let Some(state) = &self.state {
                state.put_agent(agent)?;
            }
        }
        Ok(())
    }

    /// Frees slots that everybody has left. A program that read an agent's policy before the agent
    /// moved may be about to look the table up, so the kernel has to have waited in between; see
    /// [`Maps::put_table`](crate::kernel::maps::Maps::put_table).
    fn empty(&mut self, emptied: &[u32]) -> Result<(), EngineError> {
        if emptied.is_empty() {
            return Ok(());
        }
        self.kernel().maps().wait_for_programs()?;
        for slot in emptied {
            self.vacate(*slot)?;
        }
        Ok(())
    }
}

fn replaced(incoming: &[Incoming], slot: u32) -> bool {
    incoming.iter().any(|new| new.slot == slot)
}
