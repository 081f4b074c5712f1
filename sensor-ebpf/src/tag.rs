//! The tag in a task, and the agent that it names.

/// Value of the task-storage map `TAGS`. Set by userspace through a pidfd, copied to children in
/// `task_alloc`, never changed and never removed by the kernel side.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tag {
    /// Index into `AGENTS`.
    pub agent: u32,
    /// [`Agent::epoch`] at the time of tagging. A slot that was given to another agent since makes
    /// the tag stale, which is a fault, never a free task.
    pub epoch: u32,
}

const _: () = assert!(size_of::<Tag>() == 8);

/// Value of the array map `AGENTS`, written by userspace except for the two counters.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Agent {
    /// Changes each time the slot is given away; 0 means that the slot is free.
    pub epoch: u32,
    /// Index into `POLICIES`.
    pub policy: u32,
    /// Sequence number of the agent's next event. Taken before the ring is asked for room, so that
    /// a lost event leaves a gap.
    pub next_seq: u64,
    /// Events that found no room in the ring.
    pub lost: u64,
}

const _: () = assert!(size_of::<Agent>() == 24);
const _: () = assert!(core::mem::offset_of!(Agent, next_seq) == 8);
const _: () = assert!(core::mem::offset_of!(Agent, lost) == 16);
