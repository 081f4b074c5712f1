//! Directories remembered, so that most paths need not be walked.
//!
//! A directory has one name per mount, for it cannot be hard-linked. Where the automata stand after
//! that name is remembered per task, and a file in it then takes one component of walking and
//! matching, however deep it lies. What is remembered only ever *allows*: any other verdict is
//! reached again by the whole walk.
//!
//! An entry is used only if nothing can have changed since it was made:
//! - no dentry was moved and no mount made, moved or taken off on the whole machine (the sequence
//!   counters of `rename_lock` and `mount_lock`), so every name on the way is what it was;
//! - the dentry is still that of the same directory: dentries and inodes are recycled, so inode
//!   number and generation are compared, the pair that tells two lives of one number apart. Only
//!   file systems that number all their inodes uniquely and draw generations at random are
//!   remembered;
//! - the policy table is the same, and the task is in the same mount namespace.

use sensor_ebpf::hook::Fault;
use sensor_ebpf::limits::{NAME_MAX, SUBJECT_MAX, SUBJECT_ROOM};
use sensor_ebpf::table::{self, Cursor, Space, Words};

use super::judge::KernelTable;
use super::path;
use super::scratch::Scratch;
use super::vmlinux::{Opaque, Place, Task, load, masked, offset, read};

/// Directories remembered per task: a power of two. With them a scratch stays below the 8 KiB that
/// the kernel's allocator for task storage gives.
pub const DIRECTORIES: usize = 32;

/// One directory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Directory {
    dentry: u64,
    mnt: u64,
    inode: u64,
    number: u64,
    generation: u64,
    namespace: u64,
    sequence: u64,
    /// `H_ID` of the table; 0 in an entry that was never made.
    table: u64,
    anchored: u32,
    floating: u32,
}

/// Magic numbers (`include/uapi/linux/magic.h`) of file systems whose inode numbers are unique and
/// whose generations are random.
const EXT4: u64 = 0xef53;
/// See [`EXT4`].
const XFS: u64 = 0x5846_5342;
/// See [`EXT4`].
const TMPFS: u64 = 0x0102_1994;

/// Writes the identity of a place's directory to `scratch.wanted`: an entry without its cursor. Into
/// memory and not onto the stack, which is small, and where the verifier would hold on to the types
/// of the pointers in it.
#[inline(always)]
fn identify(table: KernelTable, task: Task, scratch: &mut Scratch, place: Place, sequence: u64) {
    let wanted = &raw mut scratch.wanted;
    // SAFETY: typed pointers, and pointer or integer fields of what they point to. A dentry's
    // parent is never null and a parent always has its inode. `wanted` is the task's own.
    unsafe {
        let parent: *const Opaque = load(place.dentry, offset!(dentry_parent));
        let inode: *const Opaque = load(parent, offset!(dentry_inode));
        (&raw mut (*wanted).dentry).write_volatile(parent as u64);
        (&raw mut (*wanted).mnt).write_volatile(place.mnt as u64);
        (&raw mut (*wanted).inode).write_volatile(inode as u64);
        (&raw mut (*wanted).number).write_volatile(load(inode, offset!(inode_number)));
        (&raw mut (*wanted).generation)
            .write_volatile(u64::from(load::<u32>(inode, offset!(inode_generation))));
        (&raw mut (*wanted).namespace).write_volatile(task.mount_namespace());
        (&raw mut (*wanted).sequence).write_volatile(sequence);
        (&raw mut (*wanted).table).write_volatile(u64::from(table.word(table::H_ID)));
    }
}

/// Where the entry for a directory stands, by its inode number. The verifier lets nobody calculate
/// with pointers, not even for a hash.
#[inline(always)]
fn slot(scratch: &mut Scratch, number: u64) -> *mut Directory {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let index = masked::<{ DIRECTORIES as u64 - 1 }>(mixed) as usize;
    // SAFETY: the mask keeps the index inside the array, which LLVM cannot know.
    unsafe { scratch.directories.as_mut_ptr().add(index) }
}

/// Where the automata stand after the place's whole path, if its directory is remembered. The
/// component is left in the scratch, without what is before it.
#[inline(always)]
pub fn recall(
    table: KernelTable,
    task: Task,
    scratch: &mut Scratch,
    place: Place,
) -> Result<Option<Cursor>, Fault> {
    let sequence = path::sequence()?;
    identify(table, task, scratch, place, sequence);
    // SAFETY: an entry of the task's own scratch.
    let entry = unsafe { &*slot(scratch, scratch.wanted.number) };
    let wanted = &scratch.wanted;
    let same = entry.dentry == wanted.dentry
        && entry.mnt == wanted.mnt
        && entry.inode == wanted.inode
        && entry.number == wanted.number
        && entry.generation == wanted.generation
        && entry.namespace == wanted.namespace
        && entry.sequence == wanted.sequence
        && entry.table == wanted.table
        && wanted.table != 0
        && sequence & path::CHANGING == 0;
    // SAFETY: a typed pointer, and the root pointer of what it points to.
    let root: u64 = unsafe { load(place.mnt, offset!(vfsmount_root)) };
    if !same || place.dentry as u64 == root {
        return Ok(None);
    }
    let cursor = Cursor {
        classes: table.word(Space::Path.header() + table::SPACE_CLASSES),
        anchored: entry.anchored,
        floating: entry.floating,
    };
    let start = component(scratch, place.dentry)?;
    // A rename meanwhile may have torn the name that was just read.
    if start == 0 || path::sequence()? != sequence {
        return Ok(None);
    }
    scratch.start = start;
    Ok(Some(cursor))
}

/// Writes the place's own name, with the slash before it, to the end of the room; the index of the
/// slash, 0 for a name that is too long to be one.
#[inline(always)]
fn component(scratch: &mut Scratch, dentry: *const Opaque) -> Result<u64, Fault> {
    let name = offset!(dentry_name);
    // SAFETY: a typed pointer, and the length and pointer of its embedded `struct qstr`.
    let (len, name): (u32, u64) = unsafe { (load(dentry, name + 4), load(dentry, name + 8)) };
    let len = u64::from(len);
    if len == 0 || len > NAME_MAX as u64 {
        return Ok(0);
    }
    let start = SUBJECT_ROOM as u64 - len - 1;
    path::put(scratch, start, len, name)?;
    Ok(start)
}

/// Remembers the directory of a place that was just walked, given where the automata stood before
/// its last component.
#[inline(always)]
pub fn remember(
    table: KernelTable,
    task: Task,
    scratch: &mut Scratch,
    place: Place,
    cursor: Cursor,
) -> Result<(), Fault> {
    // SAFETY: typed pointers, and pointer fields of what they point to.
    let (root, sb): (u64, u64) = unsafe {
        (load(place.mnt, offset!(vfsmount_root)), load(place.dentry, offset!(dentry_sb)))
    };
    let magic: u64 = read(sb + offset!(sb_magic))?;
    if place.dentry as u64 == root || !matches!(magic, EXT4 | XFS | TMPFS) {
        return Ok(());
    }
    // Behind a remembered name nobody counts the bytes, so any component must fit.
    if scratch.split.wrapping_sub(scratch.start) > (SUBJECT_MAX - NAME_MAX - 1) as u64 {
        return Ok(());
    }
    identify(table, task, scratch, place, scratch.sequence);
    scratch.wanted.anchored = cursor.anchored;
    scratch.wanted.floating = cursor.floating;
    // SAFETY: an entry of the task's own scratch.
    unsafe { *slot(scratch, scratch.wanted.number) = scratch.wanted };
    Ok(())
}
