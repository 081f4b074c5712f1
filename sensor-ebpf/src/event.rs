//! Event records, as the kernel side writes them into the ring.

use crate::limits::{EVENT_LONG, EVENT_SHORT};

/// Fixed part of every record. What follows it in the ring is `subject_len` bytes of subject and
/// then `peer_len` bytes of a second subject (the other name of a rename or link); bytes of the
/// record beyond those are undefined.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHeader {
    /// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`).
    pub time: u64,
    /// Position in the agent's own sequence of events, from 0.
    pub seq: u64,
    /// Events of this agent that were lost so far.
    pub lost: u64,
    /// Id of the task's cgroup in the v2 hierarchy.
    pub cgroup: u64,
    /// When the process began: nanoseconds since boot, suspend included, of its first thread
    /// (`start_boottime`). With the pid it names one process and no later one.
    pub start: u64,
    /// Slot of the agent.
    pub agent: u32,
    /// Epoch of the agent.
    pub epoch: u32,
    /// [`crate::hook::Hook`].
    pub hook: u32,
    /// [`crate::verdict::Verdict`].
    pub verdict: u32,
    /// [`crate::rights::Rights`] that the operation asked for.
    pub requested: u32,
    /// The part of `requested` that brought the verdict about.
    pub because: u32,
    /// Id of the deciding rule, 0 if no rule speaks of it.
    pub rule: u32,
    /// [`crate::hook::Fault`], 0 if the policy decided.
    pub fault: u32,
    /// Errno that the program sees, positive; 0 if the operation went on.
    pub errno: u32,
    /// Thread group id in the initial pid namespace: what userspace calls the pid.
    pub pid: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// Pid of the parent.
    pub ppid: u32,
    /// Real user id in the initial user namespace.
    pub uid: u32,
    /// Real group id in the initial user namespace.
    pub gid: u32,
    /// Id of the table that judged ([`crate::table::H_ID`]), within which `rule` is a number; 0 if
    /// none did.
    pub table: u32,
    /// [`SUBJECT_PATH`], [`SUBJECT_OBJECT`] or [`SUBJECT_NONE`].
    pub subject_kind: u32,
    /// Bytes of subject.
    pub subject_len: u32,
    /// Bytes of second subject; a path if it begins with a slash, else of the object space.
    pub peer_len: u32,
    /// Thread's name, for people only: the program chooses it.
    pub comm: [u8; 16],
}

const _: () = assert!(size_of::<EventHeader>() == 128);
const _: () = assert!(core::mem::offset_of!(EventHeader, agent) == 40);
const _: () = assert!(core::mem::offset_of!(EventHeader, comm) == 112);

/// The event has no subject.
pub const SUBJECT_NONE: u32 = 0;
/// The subject is a canonical path.
pub const SUBJECT_PATH: u32 = 1;
/// The subject is of the object space.
pub const SUBJECT_OBJECT: u32 = 2;

/// A record with room for `N` bytes of subjects.
#[repr(C)]
pub struct Record<const N: usize> {
    /// The fixed part.
    pub header: EventHeader,
    /// The subjects.
    pub data: [u8; N],
}

/// What nearly every event fits in.
pub type ShortRecord = Record<EVENT_SHORT>;
/// What every event fits in.
pub type LongRecord = Record<EVENT_LONG>;
