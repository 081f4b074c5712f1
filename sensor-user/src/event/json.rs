//! [`Event`] → one JSON object. The schema is versioned by its field `v`; fields are added under
//! the same version and never change their meaning.

use serde::Serialize;

use super::{Context, Event, Rule};

/// Version of the schema.
pub const VERSION: u32 = 1;

/// One line of a log.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    v: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    /// RFC 3339, UTC, microseconds.
    time: String,
    agent: &'a str,
    policy: &'a str,
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
    comm: String,
    cgroup: u64,
}

impl<'a> Line<'a> {
    /// The line for an event that happened at `time`.
    #[must_use]
    pub fn new(event: &Event, context: Context<'a>, time: String) -> Line<'a> {
        Line {
            v: VERSION,
            kind: "violation",
            time,
            agent: context.agent,
            policy: context.policy,
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
            comm: event.comm(),
            cgroup: event.header.cgroup,
        }
    }
}
