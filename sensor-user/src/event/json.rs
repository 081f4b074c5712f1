//! The lines of the stream: one JSON object each. The schema is versioned by its field `v`; fields
//! are added under the same version and never change their meaning. `docs/events.md` describes it,
//! and `docs/events.schema.json` is made from the types here.
//!
//! The same types write lines and read them back: what `picket tail` shows, and what a daemon finds
//! in the log of the one before it, is what was written.

mod make;

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rule;

/// Version of the schema.
pub const VERSION: u32 = 1;

/// Text that is borrowed where it is written and owned where it was read.
pub type Text<'a> = Cow<'a, str>;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Line<'a> {
    /// An operation that the policy did not allow.
    Violation(Box<Violation<'a>>),
    /// Violations like one that was said in full shortly before.
    Repeat(Box<Repeat<'a>>),
    /// Violations of an agent that no line speaks of: they found no room on their way.
    Loss(Loss<'a>),
    /// Lines that a sink or a reader did not get.
    Gap(Gap<'a>),
    /// Something that the daemon did or found.
    Notice(Notice<'a>),
}

/// What every line has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// Version of the schema: 1.
    pub v: u32,
    /// Number of the line in the daemon's stream, ascending, over restarts too; a number may be
    /// left out. Absent in lines that are of one sink or reader only, and of `picket run --log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// When it happened: RFC 3339, UTC, microseconds.
    pub time: String,
    /// Id of the kernel's run (`/proc/sys/kernel/random/boot_id`): agents' ids, sequence numbers and
    /// pids count within it.
    pub boot: Text<'static>,
}

impl Head {
    fn new(time: SystemTime) -> Head {
        let time = humantime::format_rfc3339_micros(time).to_string();
        Head { v: VERSION, n: None, time, boot: Text::Borrowed(boot_id()) }
    }
}

/// The kernel's boot id; empty where it cannot be read.
#[must_use]
pub fn boot_id() -> &'static str {
    static ID: LazyLock<String> = LazyLock::new(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        id.map(|id| id.trim().to_owned()).unwrap_or_default()
    });
    &ID
}

/// An agent, in every line that is about one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subject<'a> {
    /// Its name.
    pub agent: Text<'a>,
    /// Its id, `SLOT.EPOCH`: no other agent has it until a reboot.
    pub agent_id: Text<'a>,
    /// The user who started it. Absent in lines of `picket run --log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// Its policy's name.
    pub policy: Text<'a>,
    /// Digest of the policy's version.
    pub version: Text<'a>,
}

/// A process, as `/proc` showed it when the event arrived. Nothing here is an input of any verdict,
/// and the program chooses most of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// The program's file. Absent where the process had ended, as are the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// Its arguments, secrets replaced by `[redacted]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// There are more arguments than are shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub argv_cut: bool,
    /// Its working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Its ancestors of the same agent, its parent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestry: Vec<Ancestor>,
    /// Path of its cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_path: Option<String>,
    /// Id of its container, where the cgroup's path has one in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The process had ended before it could be looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// An ancestor of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ancestor {
    /// Its pid.
    pub pid: u32,
    /// Its program's file; absent where it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Violation<'a> {
    /// What every line has.
    #[serde(flatten)]
    pub head: Head,
    /// The agent.
    #[serde(flatten)]
    pub of: Subject<'a>,
    /// Number of the violation among the agent's, from 0; none is left out: what is not delivered
    /// is in a `repeat` or in a `loss`.
    pub seq: u64,
    /// Violations of the agent so far that found no room in the ring.
    pub lost: u64,
    /// `deny`, `audit`, `ask`, or `allow`.
    pub verdict: Text<'a>,
    /// The kernel's hook that was asked.
    pub op: Text<'a>,
    /// Rights that the operation asked for.
    pub requested: Vec<Text<'a>>,
    /// Those of them that brought the verdict about.
    pub because: Vec<Text<'a>>,
    /// The object, by its canonical name, as `picket explain` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its other name, of a rename or link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What the program saw; absent where the operation went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<Text<'a>>,
    /// The deciding rule; absent where none speaks of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule<'a>>,
    /// Why it was refused where no policy decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Text<'a>>,
    /// Pid, in the initial pid namespace.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Pid of the parent.
    pub ppid: u32,
    /// Real user.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
    /// The thread's name, which the program chooses.
    pub comm: String,
    /// When the process began, in nanoseconds since boot.
    pub start: u64,
    /// Id of its cgroup.
    pub cgroup: u64,
    /// What was found out about the process.
    #[serde(flatten)]
    pub process: Process,
}

/// Violations like one that was said in full: same agent, program, operation, objects, rule and
/// outcome. Every other field is of the last of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repeat<'a> {
    /// How many, without the one that was said in full.
    pub repeats: u64,
    /// When the first of them happened.
    pub first: String,
    /// Number of the first of them among the agent's violations. Not every one between it and `seq` is
    /// of these.
    pub first_seq: u64,
    /// The last of them.
    #[serde(flatten)]
    pub last: Violation<'a>,
}

/// Violations of an agent that no line speaks of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loss<'a> {
    /// What every line has.
    #[serde(flatten)]
    pub head: Head,
    /// The agent.
    #[serde(flatten)]
    pub of: Subject<'a>,
    /// Why: `ring`, they found no room in the kernel's ring; `daemon`, they repeated others, and the
    /// daemon was killed before it said how often.
    pub cause: Text<'a>,
    /// How many that no other such line counts.
    pub lost: u64,
    /// How many found no room in the ring in the agent's whole life; only with `ring`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// Lines that a sink or a reader did not get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gap<'a> {
    /// What every line has.
    #[serde(flatten)]
    pub head: Head,
    /// The sink; `api` for a reader of the control API.
    pub sink: Text<'a>,
    /// How many lines.
    pub missed: u64,
}

/// Something that the daemon did or found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notice<'a> {
    /// What every line has.
    #[serde(flatten)]
    pub head: Head,
    /// The agent, where it is about one.
    #[serde(flatten, default)]
    pub of: Option<Subject<'a>>,
    /// What.
    pub what: Text<'a>,
    /// More of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<'a>>,
}
