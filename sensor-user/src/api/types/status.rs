//! How the daemon and the fence are: what `GET /v1/status` and `POST /v1/canary` answer.

use serde::{Deserialize, Serialize};

/// `GET /v1/status`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Whether the last canary found everything refused that should be, and every hook is armed.
    pub enforcing: bool,
    /// Version of the daemon.
    pub version: String,
    /// Version of the kernel-userspace interface.
    pub abi: u32,
    /// SHA-256 of the kernel programs in force.
    pub object: String,
    /// How often the programs were replaced since they were first made.
    pub generation: u32,
    /// Pid of the daemon.
    pub pid: u32,
    /// Since when it runs (RFC 3339).
    pub since: String,
    /// How the kernel side came into force: `made`, `adopted`, or `upgraded`.
    pub arrival: String,
    /// Hooks.
    pub hooks: Vec<HookStatus>,
    /// The last canary.
    pub canary: Canary,
    /// Agents.
    pub agents: usize,
    /// Policy tables in force, of how many there is room for.
    pub tables: (usize, usize),
    /// Events passed on since the daemon began.
    pub passed: u64,
    /// Events of running agents that found no room in the ring.
    pub lost: u64,
    /// Bytes of the event ring that are in use, of how many.
    #[serde(default)]
    pub ring: Option<(u64, u64)>,
    /// Faults: hook, cause, count.
    pub faults: Vec<(String, String, u64)>,
    /// Where events go.
    pub sinks: Vec<SinkStatus>,
    /// Memory of the daemon, in bytes.
    pub rss: u64,
    /// Kernel memory of all other maps, in bytes.
    #[serde(default)]
    pub map_memory: u64,
    /// Kernel memory of the policy tables, in bytes.
    pub table_memory: u64,
    /// What is wrong with files of the policy directory.
    pub problems: Vec<(String, String)>,
    /// What else is wrong, by what it is wrong with: rules for tagging that are not in force, counters that
    /// cannot be read.
    #[serde(default)]
    pub troubles: Vec<(String, String)>,
}

/// One hook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HookStatus {
    /// The kernel's name for it.
    pub name: String,
    /// Whether a program is attached.
    pub armed: bool,
}

/// One place where events go.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SinkStatus {
    /// `file`, `stdout`.
    pub name: String,
    /// Records written.
    pub written: u64,
    /// Records that could not be.
    pub missed: u64,
    /// Records that wait.
    #[serde(default)]
    pub waiting: u64,
    /// Why the last could not be; nothing where the last could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What a canary found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Canary {
    /// When (RFC 3339); nothing before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Each operation that was tried.
    pub probes: Vec<Probe>,
}

/// One operation of a canary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The operation.
    pub operation: String,
    /// The hook that refuses it.
    pub hook: String,
    /// Whether it was refused.
    pub refused: bool,
    /// What came of it.
    pub found: String,
}
