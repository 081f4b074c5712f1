//! Events: from the bytes of a ring record to what people and programs read. Pure; where events
//! come from and go to is not decided here.

pub mod decode;
pub mod human;
pub mod json;
pub mod schema;
pub mod subject;

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use sensor_ebpf::event::EventHeader;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::verdict::Verdict;

use subject::Subject;

/// One event, decoded and not yet joined with the policy that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The fixed part, as the kernel side wrote it.
    pub header: EventHeader,
    /// The hook that was asked.
    pub hook: Hook,
    /// What it answered.
    pub verdict: Verdict,
    /// What the operation asked for.
    pub requested: Rights,
    /// The part of it that brought the verdict about.
    pub because: Rights,
    /// Why, where no rule says so.
    pub fault: Fault,
    /// The object.
    pub subject: Option<Subject>,
    /// Its other name, of a rename or link.
    pub peer: Option<Subject>,
}

/// What is known about an event's agent and rule, to be printed with it.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The agent's name.
    pub agent: &'a str,
    /// Who started it, where a daemon keeps that.
    pub owner: Option<u32>,
    /// The policy's name.
    pub policy: &'a str,
    /// Digest of the version of it that judged.
    pub version: &'a str,
    /// The deciding rule; `None` where no rule speaks of it.
    pub rule: Option<Rule<'a>>,
}

/// A rule, as events name it.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Rule<'a> {
    /// The policy file.
    pub file: Cow<'a, str>,
    /// The line in it, from 1.
    pub line: usize,
    /// Why the rule is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
}

impl Context<'_> {
    /// Where nothing is known.
    #[must_use]
    pub fn unknown() -> Context<'static> {
        Context { agent: "unknown", owner: None, policy: "unknown", version: "", rule: None }
    }
}

impl Event {
    /// Name of the thread, as far as it can be printed. The program chooses it.
    #[must_use]
    pub fn comm(&self) -> String {
        let comm = self.header.comm.split(|byte| *byte == 0).next().unwrap_or_default();
        subject::printable(comm)
    }

    /// Name of the errno that the program saw.
    #[must_use]
    pub fn errno(&self) -> Option<&'static str> {
        use sensor_ebpf::hook as h;
        match self.header.errno.cast_signed() {
            0 => None,
            h::EPERM => Some("EPERM"),
            h::EAGAIN => Some("EAGAIN"),
            h::EACCES => Some("EACCES"),
            h::EPROTONOSUPPORT => Some("EPROTONOSUPPORT"),
            h::EAFNOSUPPORT => Some("EAFNOSUPPORT"),
            h::ESTALE => Some("ESTALE"),
            _ => Some("unknown"),
        }
    }
}

/// When the machine was booted, by the wall clock as it is now: events count from then.
#[must_use]
pub fn boot_time() -> SystemTime {
    let mut since = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec; this clock always exists (2.6.39).
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut since) };
    SystemTime::now() - Duration::new(since.tv_sec as u64, since.tv_nsec as u32)
}
