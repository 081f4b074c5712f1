//! Policy slots: which table is in which, and who shares it.
//!
//! A table takes megabytes of kernel memory and there are few slots, so agents under the same policy
//! with the same table share one. What is here only counts; [`super::Engine`] does it.

use std::sync::Arc;

use sensor_ebpf::limits::POLICIES_MAX;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::policy::Compiled;

/// A compiled policy as it was installed: what decoding an event takes after the table is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Id of its table; no two tables ever had the same.
    pub table: u32,
    /// The policy's name.
    pub policy: String,
    /// What it says, in short: equal where the tables are equal.
    pub digest: String,
    /// Whether it reports instead of refusing.
    pub audit: bool,
    /// Bytes of the table that are in use.
    pub bytes: usize,
    /// Its rules; the id of a rule is its index plus 1.
    pub rules: Vec<Note>,
}

/// What events say of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The policy file.
    pub file: String,
    /// The line in it, from 1; 0 for a built-in rule.
    pub line: usize,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Version {
    /// The version that `policy` is, under a table id.
    #[must_use]
    pub fn new(table: u32, policy: &Compiled) -> Version {
        let note = |rule: &crate::policy::RuleInfo| Note {
            file: rule.file.clone(),
            line: rule.line,
            reason: rule.reason.clone(),
        };
        Version {
            table,
            policy: policy.name.clone(),
            digest: digest(policy),
            audit: policy.audit,
            bytes: policy.table.len() * size_of::<u16>(),
            rules: policy.rules.iter().map(note).collect(),
        }
    }

    /// The rule with this id; `None` for 0.
    #[must_use]
    pub fn rule(&self, id: u32) -> Option<&Note> {
        self.rules.get((id as usize).checked_sub(1)?)
    }
}

/// 16 hexadecimal digits over what a policy decides and what it says about it. Policies of equal
/// digest can share a slot: the same verdicts, with the same rules named.
#[must_use]
pub fn digest(policy: &Compiled) -> String {
    let mut hash = Sha256::new();
    for cell in &policy.table {
        hash.update(cell.to_le_bytes());
    }
    for rule in &policy.rules {
        hash.update(format!("{}\0{}\0{:?}\0", rule.file, rule.line, rule.reason));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A slot in use.
#[derive(Clone, Debug)]
pub struct Slot {
    /// What is in it.
    pub version: Arc<Version>,
    /// Agents under it.
    pub users: usize,
}

/// All slots.
#[derive(Debug)]
pub struct Slots(Vec<Option<Slot>>);

impl Default for Slots {
    fn default() -> Self {
        Slots(vec![None; POLICIES_MAX as usize])
    }
}

impl Slots {
    /// The slot of a policy with this name and digest.
    #[must_use]
    pub fn find(&self, policy: &str, digest: &str) -> Option<u32> {
        let same = |slot: &Option<Slot>| {
            slot.as_ref()
                .is_some_and(|slot| slot.version.policy == policy && slot.version.digest == digest)
        };
        self.0.iter().position(same).map(|slot| slot as u32)
    }

    /// Free slots, ascending.
    pub fn free(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.0).filter(|(_, slot)| slot.is_none()).map(|(number, _)| number)
    }

    /// What is in a slot.
    #[must_use]
    pub fn get(&self, slot: u32) -> Option<&Slot> {
        self.0.get(slot as usize)?.as_ref()
    }

    /// Puts a version into a slot; the users stay.
    pub fn put(&mut self, slot: u32, version: Arc<Version>) {
        if let Some(place) = self.0.get_mut(slot as usize) {
            let users = place.as_ref().map_or(0, |slot| slot.users);
            *place = Some(Slot { version, users });
        }
    }

    /// One more agent under a slot.
    pub fn enter(&mut self, slot: u32) {
        if let Some(Some(slot)) = self.0.get_mut(slot as usize) {
            slot.users += 1;
        }
    }

    /// One agent less under a slot; true if it was the last.
    pub fn leave(&mut self, slot: u32) -> bool {
        match self.0.get_mut(slot as usize) {
            Some(Some(slot)) => {
                slot.users = slot.users.saturating_sub(1);
                slot.users == 0
            }
            _ => false,
        }
    }

    /// Makes a slot free.
    pub fn clear(&mut self, slot: u32) -> Option<Arc<Version>> {
        Some(self.0.get_mut(slot as usize)?.take()?.version)
    }

    /// The slots in use.
    pub fn used(&self) -> impl Iterator<Item = (u32, &Slot)> {
        (0_u32..).zip(&self.0).filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
    }
}
