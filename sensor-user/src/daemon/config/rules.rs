//! The configuration's rules for tagging.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// A rule for tagging: who runs a program, or is in a cgroup, is of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRule {
    /// The program, by its path.
    pub exec: Option<PathBuf>,
    /// The cgroup, by its directory or its path below `/sys/fs/cgroup`.
    pub cgroup: Option<PathBuf>,
    /// The cgroup in which a container engine makes those of its containers.
    pub containers: Option<PathBuf>,
    /// The unit of systemd whose cgroup it is.
    pub unit: Option<String>,
    /// Name of a policy of the directory.
    pub policy: String,
    /// What the agent is called; the policy's name by default.
    pub name: Option<String>,
    /// Whose home and names the policy's variables `home`, `user` and `uid` are.
    pub user: Option<String>,
    /// Values of the policy's other variables.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

impl TagRule {
    /// What tells it from the others.
    #[must_use]
    pub fn key(&self) -> String {
        let path = |kind: &str, path: &PathBuf| format!("{kind} {}", path.display());
        None.or_else(|| self.exec.as_ref().map(|program| path("exec", program)))
            .or_else(|| self.cgroup.as_ref().map(|group| path("cgroup", group)))
            .or_else(|| self.containers.as_ref().map(|group| path("containers", group)))
            .or_else(|| self.unit.as_ref().map(|unit| format!("unit {unit}")))
            .unwrap_or_default()
    }

    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<String> {
        let given = usize::from(self.exec.is_some())
            + usize::from(self.cgroup.is_some())
            + usize::from(self.containers.is_some())
            + usize::from(self.unit.is_some());
        if given != 1 {
            return Some("give one of `exec`, `cgroup`, `containers` and `unit`".to_owned());
        }
        let program = self.exec.as_ref().filter(|program| !program.is_absolute())?;
        Some(format!("`exec` is `{}`; write an absolute path", program.display()))
    }
}
