//! Tags that the kernel side gives by itself: to whoever runs a program that a rule names, or is in a
//! cgroup that one names. They only ever come to tasks that have none.

use aya_ebpf::helpers::generated::{
    bpf_get_current_ancestor_cgroup_id, bpf_probe_read_kernel, bpf_task_storage_delete,
};
use sensor_ebpf::hook::Fault;
use sensor_ebpf::limits::SUBJECT_ROOM;
use sensor_ebpf::tag::Tag;
use sensor_ebpf::tagging::{BY_CGROUP, BY_PATH, LEVELS, NAME_KEY, PATH_KEY};

use super::maps::{SCRATCH, TAG_CGROUPS, TAG_NAMES, TAG_PATHS, TAGGING, TAGS};
use super::path::{self, Kind};
use super::scratch::Scratch;
use super::vmlinux::{File, Task, in_room, masked, offset, read, read_text};
use super::{scratch, tag};

/// Which rules there are.
#[inline(always)]
fn rules() -> u32 {
    // SAFETY: null or a whole number, which userspace replaces.
    TAGGING.get(0).copied().unwrap_or(0)
}

/// Tags the running task, if a rule speaks of the program that it is about to run, or of its cgroup.
#[inline(always)]
pub fn on_exec(task: Task, file: File) -> Result<(), Fault> {
    let rules = rules();
    if rules == 0 || tag::effective(task)?.is_some() {
        return Ok(());
    }
    let mut found = if rules & BY_PATH != 0 { by_path(task, file)? } else { None };
    if found.is_none() && rules & BY_CGROUP != 0 {
        found = by_cgroup(Some(task.mount_namespace_number()));
    }
    match found {
        Some(tag) => give(task, tag),
        None => Ok(()),
    }
}

/// Tags a new task of an untagged one, if a rule speaks of the cgroup that both are in.
#[inline(always)]
pub fn on_fork(task: Task, child: Task) -> Result<(), Fault> {
    if rules() & BY_CGROUP == 0 || tag::effective(task)?.is_some() {
        return Ok(());
    }
    by_cgroup(None).map_or(Ok(()), |tag| give(child, tag))
}

#[inline(always)]
fn give(task: Task, mut tag: Tag) -> Result<(), Fault> {
    // SAFETY: null or a whole tag.
    match unsafe { TAGS.get_or_create(task, &raw mut tag).as_ref() } {
        Some(given) if *given == tag => Ok(()),
        _ => Err(Fault::NO_TAG),
    }
}

/// The tag for the nearest cgroup that has one, of those that the running task is in. `running_in` is the
/// mount namespace in which it runs a program; `None` if it runs none. One that cannot be told is 0, which is
/// no engine's.
#[inline(always)]
fn by_cgroup(running_in: Option<u32>) -> Option<Tag> {
    let mut found = None;
    for level in 0..LEVELS {
        // SAFETY: takes a number; 0 below the task's own.
        let cgroup = unsafe { bpf_get_current_ancestor_cgroup_id(level as i32) };
        if cgroup == 0 {
            break;
        }
        // SAFETY: a whole rule; one that userspace takes out meanwhile may be seen once more.
        if let Some(rule) = unsafe { TAG_CGROUPS.get(cgroup) }
            && (rule.engines == 0 || running_in.is_some_and(|number| number != rule.engines))
        {
            found = Some(rule.tag);
        }
    }
    found
}

/// The tag for a program, by its canonical path. One of another mount namespace, or with a longer path than
/// a rule can have, is none that a rule names; one that cannot be named for now may be, so that is a
/// fault.
#[inline(always)]
fn by_path(task: Task, file: File) -> Result<Option<Tag>, Fault> {
    let place = file.place();
    if !is_known(place.dentry as u64) {
        return Ok(None);
    }
    let scratch = scratch::of(task)?;
    let found = match path::name(task, scratch, place.mnt as u64, place.dentry as u64) {
        Ok(named) if named.kind == Kind::PATH => tag_of_path(scratch, named.start),
        Ok(_) | Err(Fault::FOREIGN_MOUNT | Fault::PATH_TOO_LONG) => 0,
        Err(fault) => return Err(fault),
    };
    if found == 0 {
        // Without a tag it needs no room, and finds sooner that it has none.
        let map = core::ptr::from_ref(&SCRATCH).cast_mut().cast();
        // SAFETY: a task-storage map and a task that the verifier trusts. Nobody uses the scratch.
        unsafe { bpf_task_storage_delete(map, task.0.cast_mut().cast()) };
        return Ok(None);
    }
    Ok(Some(Tag { agent: (found >> 32) as u32, epoch: found as u32 }))
}

/// Whether some rule names a program with this file's name. A function of its own, for the stack's sake.
#[inline(never)]
fn is_known(dentry: u64) -> bool {
    const NAME: u64 = 8;
    // `struct qstr`: hash and length, then the pointer.
    let name: Result<u64, Fault> = read(dentry + offset!(dentry_name) + NAME);
    let Ok(name) = name.and_then(read_text::<NAME_KEY>) else { return false };
    // SAFETY: nothing of the value is read.
    unsafe { TAG_NAMES.get(&name) }.is_some()
}

/// The tag for the path in the scratch as one number, 0 if there is none. A function of its own that
/// gives a plain number, for the stack's sake.
#[inline(never)]
fn tag_of_path(scratch: &mut Scratch, start: u32) -> u64 {
    let len = (SUBJECT_ROOM as u32).wrapping_sub(start);
    if len as usize >= PATH_KEY || len == 0 {
        return 0;
    }
    let len = masked::<{ PATH_KEY as u64 - 1 }>(u64::from(len)) as u32;
    let room = scratch.room.as_mut_ptr();
    // The key is built before the path, which begins in the last PATH_KEY bytes of the room.
    const { assert!(SUBJECT_ROOM > 2 * PATH_KEY) };
    for word in 0..PATH_KEY / 8 {
        // SAFETY: within the room, which is aligned to 8 bytes as the scratch is.
        unsafe { room.cast::<u64>().add(word).write_volatile(0) };
    }
    // SAFETY: at most PATH_KEY bytes, from within the room to its beginning.
    let tag = unsafe {
        let from = room.add(in_room(u64::from(start)));
        if bpf_probe_read_kernel(room.cast(), len, from.cast_const().cast()) != 0 {
            return 0;
        }
        TAG_PATHS.get(&*room.cast::<[u8; PATH_KEY]>())
    };
    tag.map_or(0, |tag| u64::from(tag.agent) << 32 | u64::from(tag.epoch))
}
