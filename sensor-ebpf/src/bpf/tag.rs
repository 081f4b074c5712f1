//! From a task to the agent that it belongs to.

use sensor_ebpf::hook::Fault;
use sensor_ebpf::tag::{Agent, Memo, Tag};

use super::maps::{AGENTS, TAGS};
use super::scratch::{self, Scratch};
use super::vmlinux::{Task, offset, read};

/// A tagged task, its agent, and its room to work in.
pub struct Entered {
    /// The tag.
    pub tag: Tag,
    /// The agent's slot.
    pub agent: *mut Agent,
    /// The task's own scratch.
    pub scratch: *mut Scratch,
}

/// Who the running task is; `None` if it has no tag. Its tag is noted in its scratch, where the next
/// call finds it with the one lookup that it needs anyway.
#[inline(always)]
pub fn enter(task: Task) -> Result<Option<Entered>, Fault> {
    if let Some(scratch) = scratch::find(task) {
        let Memo { tag, moves } = scratch.memo;
        // What it says of an agent that is gone says nothing of the task.
        if let Ok(agent) = agent_of(tag)
            // SAFETY: a whole agent.
            && unsafe { (*agent).moves } == moves
        {
            return Ok(Some(Entered { tag, agent, scratch }));
        }
    }
    let tag = match of(task)? {
        Some(tag) => Some(tag),
        None => from_leader(task)?,
    };
    let tag = match tag {
        None | Some(Tag::SENTRY) => return Ok(None),
        Some(tag) => tag,
    };
    let agent = agent_of(tag)?;
    let scratch = scratch::of(task)?;
    // SAFETY: as above.
    scratch.memo = Memo { tag, moves: unsafe { (*agent).moves } };
    Ok(Some(Entered { tag, agent, scratch }))
}

/// The tag of the task's process, for a thread that has none: userspace can tag a process that runs
/// already only by its first thread. The thread gets the tag for itself, because it may outlive the
/// first one, and takes its place if it runs another program (`fs/exec.c:de_thread`).
#[inline(never)]
fn from_leader(task: Task) -> Result<Option<Tag>, Fault> {
    let Some(mut tag) = of(task.leader())? else { return Ok(None) };
    if tag == Tag::SENTRY {
        return Ok(None);
    }
    // SAFETY: null or a whole tag.
    match unsafe { TAGS.get_or_create(task, &raw mut tag).as_ref() } {
        Some(copied) if *copied == tag => Ok(Some(tag)),
        _ => Err(Fault::NO_TAG),
    }
}

/// The tag that counts for a task, without giving it to it.
#[inline(always)]
pub fn effective(task: Task) -> Result<Option<Tag>, Fault> {
    match of(task)? {
        Some(tag) => Ok(Some(tag)),
        None => of(task.leader()),
    }
}

/// The agent that a tag names, while it is the one that the tag was made for.
#[inline(always)]
fn agent_of(tag: Tag) -> Result<*mut Agent, Fault> {
    let agent = AGENTS.get_ptr_mut(tag.agent).ok_or(Fault::STALE_TAG)?;
    // SAFETY: a whole agent in an array map, which is never freed; userspace changes the epoch only
    // while no task bears the old one.
    let epoch = unsafe { (*agent).epoch };
    // A free slot has epoch 0 and no policy of its own, so a tag that says 0 means nobody.
    if epoch == 0 || epoch != tag.epoch { Err(Fault::STALE_TAG) } else { Ok(agent) }
}

/// Local-storage maps that one task may have values in before the second look gives up. Each
/// takes a loaded map of another program, so nothing tagged can add to them.
const STORAGES_MAX: u32 = 32;

/// The task's tag; `None` if it has none.
///
/// A task that never had any local storage has no tag, which one load tells: that is the way out
/// for nearly every task. Otherwise the helper is asked, and where it finds nothing the task's
/// storage is read once more without it: on 6.1 the helper answers null whenever another task of
/// this CPU is inside a storage operation (`bpf_task_storage_trylock`), and a single such miss
/// must not open the fence.
#[inline(always)]
pub fn of(task: Task) -> Result<Option<Tag>, Fault> {
    if task.storage() == 0 {
        return Ok(None);
    }
    // SAFETY: null or a whole tag, which nobody changes once it is set.
    match unsafe { TAGS.get(task).as_ref() } {
        Some(tag) => Ok(Some(*tag)),
        None => second_look(task.storage()),
    }
}

/// Walks the task's list of storage elements for the one that belongs to `TAGS`.
#[inline(never)]
fn second_look(storage: u64) -> Result<Option<Tag>, Fault> {
    let mut node: u64 = read(storage + offset!(storage_list)).map_err(|_| Fault::TAG_LOOKUP)?;
    for _ in 0..STORAGES_MAX {
        if node == 0 {
            return Ok(None);
        }
        let element = node.wrapping_sub(offset!(element_node));
        let map: u64 = read(element + offset!(element_map)).map_err(|_| Fault::TAG_LOOKUP)?;
        if map == TAGS.address() {
            let tag = read(element + offset!(element_data)).map_err(|_| Fault::TAG_LOOKUP)?;
            return Ok(Some(tag));
        }
        node = read(node).map_err(|_| Fault::TAG_LOOKUP)?;
    }
    Err(Fault::TAG_LOOKUP)
}
