//! The tag in a task, and the agent that it names.

/// Value of the task-storage map `TAGS`. Set by userspace through a pidfd, copied to children in
/// `task_alloc`, never changed and never removed by the kernel side. Userspace that gives a tagged
/// task another tag raises [`Agent::moves`] of the old agent afterwards, or the task may go on under
/// the old one.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tag {
    /// Index into `AGENTS`.
    pub agent: u32,
    /// [`Agent::epoch`] at the time of tagging. A slot that was given to another agent since makes
    /// the tag stale, which is a fault, never a free task.
    pub epoch: u32,
}

impl Tag {
    /// The tag of Picket's own processes: nobody judges what they do, and no agent may act on them,
    /// whatever its policy says of processes. It names no agent, and children do not get it.
    pub const SENTRY: Tag = Tag { agent: u32::MAX, epoch: u32::MAX };
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
    /// Changes each time that userspace has given a task of this agent another tag; see
    /// [`Memo`].
    pub moves: u32,
    /// [`CUT_OFF`] or nothing.
    pub flags: u32,
    /// Sequence number of the agent's next event. Taken before the ring is asked for room, so that
    /// a lost event leaves a gap.
    pub next_seq: u64,
    /// Events that found no room in the ring.
    pub lost: u64,
}

/// In [`Agent::flags`]: what the agent's processes opened before they had their tag is judged whenever
/// they use it. Takes [`crate::hook::Hook::ON_DEMAND`] to be attached.
pub const CUT_OFF: u32 = 1;

const _: () = assert!(size_of::<Agent>() == 32);
const _: () = assert!(core::mem::offset_of!(Agent, next_seq) == 16);
const _: () = assert!(core::mem::offset_of!(Agent, lost) == 24);

/// A task's tag once more, in the memory that its operations need anyway, so that most of them look
/// into one map instead of two. It counts only while the agent's [`Agent::moves`] is what it was:
/// `TAGS` alone says what a task's tag is.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memo {
    /// The tag; epoch 0 where nothing was noted yet.
    pub tag: Tag,
    /// [`Agent::moves`] when it was noted.
    pub moves: u32,
}

const _: () = assert!(size_of::<Memo>() == 12);
