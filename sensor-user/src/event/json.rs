//! [`Event`] → one JSON object. The schema is versioned by its field `v`; fields are added under
//! the same version and never change their meaning.

use std::sync::LazyLock;
use std::time::SystemTime;

use serde::Serialize;

use super::{Context, Event, Rule};

/// Version of the schema.
pub const VERSION: u32 = 1;

/// What every line begins with.
#[derive(Debug, Serialize)]
struct Head {
    v: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    /// RFC 3339, UTC, microseconds.
    time: String,
    /// Id of the kernel's run (`/proc/sys/kernel/random/boot_id`): agents and numbers count in it.
    boot: &'static str,
}

impl Head {
    fn new(kind: &'static str, time: SystemTime) -> Head {
        let time = humantime::format_rfc3339_micros(time).to_string();
        Head { v: VERSION, kind, time, boot: boot_id() }
    }
}

/// The kernel's boot id; empty where it cannot be read.
fn boot_id() -> &'static str {
    static ID: LazyLock<String> = LazyLock::new(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        id.map(|id| id.trim().to_owned()).unwrap_or_default()
    });
    &ID
}

/// An agent, in every line that is about one.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Subject<'a> {
    /// Its name.
    pub agent: &'a str,
    /// Its id.
    pub agent_id: &'a str,
    /// Its policy's name.
    pub policy: &'a str,
    /// Digest of the policy's version.
    pub version: &'a str,
}

/// Events of an agent that found no room in the ring.
#[derive(Debug, Serialize)]
struct Loss<'a> {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    subject: Subject<'a>,
    lost: u64,
    total: u64,
}

/// The line that says that `lost` events of an agent were lost since the last such line, `total` in
/// its whole life.
#[must_use]
pub fn loss(subject: Subject<'_>, lost: u64, total: u64, time: SystemTime) -> String {
    line(&Loss { head: Head::new("loss", time), subject, lost, total })
}

/// Lines that a sink missed.
#[derive(Debug, Serialize)]
struct Gap<'a> {
    #[serde(flatten)]
    head: Head,
    sink: &'a str,
    missed: u64,
}

/// The line that says in a sink how many lines before it are missing there.
#[must_use]
pub fn gap(sink: &str, missed: u64) -> String {
    line(&Gap { head: Head::new("gap", SystemTime::now()), sink, missed })
}

/// Something that the daemon did.
#[derive(Debug, Serialize)]
struct Notice<'a> {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    subject: Option<Subject<'a>>,
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

/// The line for something that the daemon did.
#[must_use]
pub fn notice(what: &str, subject: Option<Subject<'_>>, detail: Option<&str>) -> String {
    line(&Notice { head: Head::new("notice", SystemTime::now()), subject, what, detail })
}

/// As one line. Nothing here can fail to be JSON.
fn line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

/// One violation.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    #[serde(flatten)]
    head: Head,
    agent_id: String,
    agent: &'a str,
    policy: &'a str,
    /// Digest of the policy's version.
    version: &'a str,
    seq: u64,
    lost: u64,
    verdict: &'static str,
    op: &'static str,
    requested: Vec<&'static str>,
    because: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Rule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    pid: u32,
    tid: u32,
    ppid: u32,
    uid: u32,
    gid: u32,
    comm: String,
    cgroup: u64,
}

impl<'a> Line<'a> {
    /// The line for an event that happened at `time`.
    #[must_use]
    pub fn new(event: &Event, context: Context<'a>, time: SystemTime) -> Line<'a> {
        Line {
            head: Head::new("violation", time),
            agent_id: format!("{}.{}", event.header.agent, event.header.epoch),
            agent: context.agent,
            policy: context.policy,
            version: context.version,
            seq: event.header.seq,
            lost: event.header.lost,
            verdict: event.verdict.name(),
            op: event.hook.name().unwrap_or("unknown"),
            requested: event.requested.names().collect(),
            because: event.because.names().collect(),
            subject: event.subject.as_ref().map(ToString::to_string),
            peer: event.peer.as_ref().map(ToString::to_string),
            errno: event.errno(),
            rule: context.rule,
            fault: Some(event.fault.name().unwrap_or("unknown")).filter(|_| event.fault.0 != 0),
            pid: event.header.pid,
            tid: event.header.tid,
            ppid: event.header.ppid,
            uid: event.header.uid,
            gid: event.header.gid,
            comm: event.comm(),
            cgroup: event.header.cgroup,
        }
    }

    /// As one line, with its newline.
    #[must_use]
    pub fn text(&self) -> String {
        line(self)
    }
}
