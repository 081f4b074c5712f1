//! What a daemon must know of agents that it did not start, beside what the kernel's maps say: their
//! names, and the rules of their policies. A file for each in a directory that a reboot empties, as
//! it empties the kernel. Files appear whole or not at all, and before the kernel acts by them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sensor_ebpf::tag::Tag;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::slots::Version;

/// Where a policy came from, so that it can be compiled again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of a policy of the daemon's directory, or its whole text.
    pub policy: PolicySource,
    /// The variables that it was compiled with.
    pub variables: std::collections::BTreeMap<String, String>,
    /// Whether it only reports, whatever the policy says.
    #[serde(default)]
    pub audit: bool,
}

/// Where a policy came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicySource {
    /// A policy of the daemon's directory, by its name. Changes with it.
    Named(String),
    /// A policy of the caller's, which nobody changes.
    Given,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFile {
    /// Its slot.
    pub slot: u32,
    /// Its epoch.
    pub epoch: u32,
    /// Its name.
    pub name: String,
    /// Who asked for it.
    pub uid: u32,
    /// Since when it is there.
    pub since: SystemTime,
    /// The table that it was last put under.
    pub table: u32,
    /// Where its policy came from.
    pub origin: Option<Origin>,
    /// The rule for tagging that it is there for, also while it has no process.
    #[serde(default)]
    pub rule: Option<String>,
}

impl AgentFile {
    /// The tag of its processes.
    #[must_use]
    pub fn tag(&self) -> Tag {
        Tag { agent: self.slot, epoch: self.epoch }
    }
}

/// The directory.
#[derive(Debug)]
pub struct StateDir(PathBuf);

/// Why the state cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {at}: {source}")]
pub struct StateError {
    what: &'static str,
    at: PathBuf,
    source: io::Error,
}

fn failed(what: &'static str, at: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |source| StateError { what, at: at.to_owned(), source }
}

impl StateDir {
    /// Opens the directory, or makes it.
    pub fn open(at: &Path) -> Result<StateDir, StateError> {
        for dir in [at.join("agents"), at.join("policies")] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(failed("make the directory", &dir))?;
        }
        Ok(StateDir(at.to_owned()))
    }

    fn agent(&self, slot: u32) -> PathBuf {
        self.0.join(format!("agents/{slot}.json"))
    }

    fn version(&self, table: u32) -> PathBuf {
        self.0.join(format!("policies/{table}.json"))
    }

    /// Writes an agent's file.
    pub fn put_agent(&self, agent: &AgentFile) -> Result<(), StateError> {
        put(&self.agent(agent.slot), agent)
    }

    /// Removes an agent's file.
    pub fn remove_agent(&self, slot: u32) {
        let _ = fs::remove_file(self.agent(slot));
    }

    /// Writes a version's file.
    pub fn put_version(&self, version: &Version) -> Result<(), StateError> {
        put(&self.version(version.table), version)
    }

    /// Removes a version's file.
    pub fn remove_version(&self, table: u32) {
        let _ = fs::remove_file(self.version(table));
    }

    /// Every agent. What cannot be read is left out: its name is lost, not its fence.
    pub fn agents(&self) -> Result<Vec<AgentFile>, StateError> {
        all(&self.0.join("agents"))
    }

    /// Every version.
    pub fn versions(&self) -> Result<Vec<Version>, StateError> {
        all(&self.0.join("policies"))
    }

    /// Forgets everything, where the kernel side is a new one.
    pub fn clear(&self) -> Result<(), StateError> {
        for dir in ["agents", "policies"] {
            let dir = self.0.join(dir);
            let entries = fs::read_dir(&dir).map_err(failed("read", &dir))?;
            for entry in entries {
                let at = entry.map_err(failed("read", &dir))?.path();
                fs::remove_file(&at).map_err(failed("remove", &at))?;
            }
        }
        Ok(())
    }
}

/// Replaces a file as a whole.
fn put(at: &Path, value: &impl Serialize) -> Result<(), StateError> {
    let temporary = at.with_extension("new");
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        fs::rename(&temporary, at)
    };
    write().map_err(failed("write", at))
}

fn all<T: DeserializeOwned>(dir: &Path) -> Result<Vec<T>, StateError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
        let at = entry.map_err(failed("read", dir))?.path();
        if at.extension().is_some_and(|extension| extension == "json")
            && let Ok(bytes) = fs::read(&at)
            && let Ok(value) = serde_json::from_slice(&bytes)
        {
            found.push(value);
        }
    }
    Ok(found)
}
