//! The lines of the stream: one JSON object each. The schema is versioned by its field `v`; fields
//! are added under the same version and never change their meaning. `docs/events.md` describes it,
//! and `docs/events.schema.json` is made from the types here.
//!
//! The same types write lines and read them back: what `picket tail` shows, and what a daemon finds
//! in the log of the one before it, is what was written.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, Event, Rule};

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

impl<'a> Line<'a> {
    /// The line for an event that happened at `time`.
    #[must_use]
    pub fn violation(
        event: &Event,
        context: Context<'a>,
        time: SystemTime,
        process: Process,
    ) -> Line<'a> {
        Line::Violation(Box::new(Violation::new(event, context, time, process)))
    }

    /// The line that says that `lost` violations of an agent were lost since the last such line,
    /// `total` in its whole life.
    #[must_use]
    pub fn loss(of: Subject<'a>, lost: u64, total: u64, time: SystemTime) -> Line<'a> {
        let (cause, total) = ("ring".into(), Some(total));
        Line::Loss(Loss { head: Head::new(time), of, cause, lost, total })
    }

    /// The line for `lost` violations that a daemon had counted and not said when it was killed.
    #[must_use]
    pub fn left_over(of: Subject<'a>, lost: u64, time: SystemTime) -> Line<'a> {
        let cause = "daemon".into();
        Line::Loss(Loss { head: Head::new(time), of, cause, lost, total: None })
    }

    /// The line that says how many lines a sink is missing.
    #[must_use]
    pub fn gap(sink: &'a str, missed: u64) -> Line<'a> {
        Line::Gap(Gap { head: Head::new(SystemTime::now()), sink: sink.into(), missed })
    }

    /// The line for something that the daemon did.
    #[must_use]
    pub fn notice(what: &'a str, of: Option<Subject<'a>>, detail: Option<&'a str>) -> Line<'a> {
        let head = Head::new(SystemTime::now());
        Line::Notice(Notice { head, of, what: what.into(), detail: detail.map(Text::from) })
    }

    /// Its `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Line::Violation(_) => "violation",
            Line::Repeat(_) => "repeat",
            Line::Loss(_) => "loss",
            Line::Gap(_) => "gap",
            Line::Notice(_) => "notice",
        }
    }

    /// What every line has.
    #[must_use]
    pub fn head(&self) -> &Head {
        match self {
            Line::Violation(line) => &line.head,
            Line::Repeat(line) => &line.last.head,
            Line::Loss(line) => &line.head,
            Line::Gap(line) => &line.head,
            Line::Notice(line) => &line.head,
        }
    }

    /// Gives the line its number.
    pub fn number(&mut self, n: u64) {
        let head = match self {
            Line::Violation(line) => &mut line.head,
            Line::Repeat(line) => &mut line.last.head,
            Line::Loss(line) => &mut line.head,
            Line::Gap(line) => &mut line.head,
            Line::Notice(line) => &mut line.head,
        };
        head.n = Some(n);
    }

    /// The agent that it is about.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject<'a>> {
        match self {
            Line::Violation(line) => Some(&line.of),
            Line::Repeat(line) => Some(&line.last.of),
            Line::Loss(line) => Some(&line.of),
            Line::Gap(_) => None,
            Line::Notice(line) => line.of.as_ref(),
        }
    }

    /// The violation in it.
    #[must_use]
    pub fn as_violation(&self) -> Option<&Violation<'a>> {
        match self {
            Line::Violation(line) => Some(line),
            Line::Repeat(line) => Some(&line.last),
            Line::Loss(_) | Line::Gap(_) | Line::Notice(_) => None,
        }
    }

    /// As text, with its newline. Nothing here can fail to be JSON.
    #[must_use]
    pub fn text(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Reads a line back.
    ///
    /// # Errors
    /// If it is none of this version.
    pub fn parse(text: &str) -> serde_json::Result<Line<'static>> {
        serde_json::from_str(text)
    }
}

fn own(text: Text<'_>) -> Text<'static> {
    Text::Owned(text.into_owned())
}

impl Subject<'_> {
    fn into_owned(self) -> Subject<'static> {
        Subject {
            agent: own(self.agent),
            agent_id: own(self.agent_id),
            owner: self.owner,
            policy: own(self.policy),
            version: own(self.version),
        }
    }
}

impl<'a> Violation<'a> {
    /// The same, of texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Violation<'static> {
        let all = |texts: Vec<Text<'_>>| texts.into_iter().map(own).collect();
        Violation {
            head: self.head,
            of: self.of.into_owned(),
            verdict: own(self.verdict),
            op: own(self.op),
            requested: all(self.requested),
            because: all(self.because),
            errno: self.errno.map(own),
            rule: self.rule.map(|rule| Rule {
                file: own(rule.file),
                line: rule.line,
                reason: rule.reason.map(own),
            }),
            fault: self.fault.map(own),
            seq: self.seq,
            lost: self.lost,
            subject: self.subject,
            peer: self.peer,
            pid: self.pid,
            tid: self.tid,
            ppid: self.ppid,
            uid: self.uid,
            gid: self.gid,
            comm: self.comm,
            start: self.start,
            cgroup: self.cgroup,
            process: self.process,
        }
    }

    /// The violation that an event says happened at `time`.
    #[must_use]
    pub fn new(event: &Event, context: Context<'a>, time: SystemTime, process: Process) -> Self {
        let id = format!("{}.{}", event.header.agent, event.header.epoch);
        let names = |rights: sensor_ebpf::rights::Rights| rights.names().map(Text::from).collect();
        let fault = event.fault.name().unwrap_or("unknown");
        Violation {
            head: Head::new(time),
            of: Subject {
                agent: context.agent.into(),
                agent_id: id.into(),
                owner: context.owner,
                policy: context.policy.into(),
                version: context.version.into(),
            },
            seq: event.header.seq,
            lost: event.header.lost,
            verdict: event.verdict.name().into(),
            op: event.hook.name().unwrap_or("unknown").into(),
            requested: names(event.requested),
            because: names(event.because),
            subject: event.subject.as_ref().map(ToString::to_string),
            peer: event.peer.as_ref().map(ToString::to_string),
            errno: event.errno().map(Text::from),
            rule: context.rule,
            fault: (event.fault.0 != 0).then(|| fault.into()),
            pid: event.header.pid,
            tid: event.header.tid,
            ppid: event.header.ppid,
            uid: event.header.uid,
            gid: event.header.gid,
            comm: event.comm(),
            start: event.header.start,
            cgroup: event.header.cgroup,
            process,
        }
    }
}
