//! Directories remembered, so that most paths need not be walked.
//!
//! A directory has one name per mount, for it cannot be hard-linked. Where the automata stand after
//! that name is remembered per task, and a file in it then takes one component of walking and
//! matching, however deep it lies. What is remembered only ever *allows*: any other verdict is
//! reached again by the whole walk.
//!
//! An entry is used only if nothing can have changed since it was made:
//! - no dentry was moved on the whole machine (the sequence counter of `rename_lock`), and no mount
//!   was made, moved or taken off in the task's mount namespace (its event counter, by which `poll`
//!   on `/proc/mounts` works), so every name on the way is what it was;
//! - the dentry is still that of the same directory: dentries and inodes are recycled, so inode
//!   number and generation are compared, the pair that tells two lives of one number apart. Only
//!   file systems that number all their inodes uniquely and draw generations at random are
//!   remembered;
//! - the policy table is the same, and the task is in the same mount namespace.
//!
//! This is the way that nearly every operation of an agent takes, so each field is read by a plain
//! load where the verifier knows its type; a helper's read costs ten times as much.

use sensor_ebpf::hook::Fault;
use sensor_ebpf::limits::{NAME_MAX, SUBJECT_MAX, SUBJECT_ROOM};
use sensor_ebpf::table::{self, Cells, Cursor, Space};

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
    when: Moment,
    generation: u32,
    /// `H_ID` of the table; 0 in an entry that was never made.
    table: u32,
    anchored: u32,
    floating: u32,
}

/// The state of all names as a task sees them.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The task's mount namespace; 0 for a task that is exiting.
    namespace: u64,
    /// How often anything was mounted, moved or taken off in it.
    mounts: u64,
    /// `rename_lock`'s sequence counter: odd while a dentry is being moved.
    renames: u64,
}

impl Moment {
    /// Now. To be taken before names are read.
    #[inline(always)]
    pub fn now(task: Task) -> Result<Moment, Fault> {
        let (namespace, mounts) = task.mount_events();
        Ok(Moment { namespace, mounts, renames: u64::from(path::renames()?) })
    }

    #[inline(always)]
    fn is_quiet(self) -> bool {
        self.namespace != 0 && self.renames & 1 == 0
    }
}

/// Magic numbers (`include/uapi/linux/magic.h`) of file systems whose inode numbers are unique and
/// whose generations are random.
const EXT4: u64 = 0xef53;
/// See [`EXT4`].
const XFS: u64 = 0x5846_5342;
/// See [`EXT4`].
const TMPFS: u64 = 0x0102_1994;

/// The directory that a place is in, by what tells it from all others.
struct Identity {
    dentry: u64,
    mnt: u64,
    inode: u64,
    number: u64,
    generation: u32,
}

/// Identifies a place's directory.
#[inline(always)]
fn identify(scratch: &mut Scratch, place: Place) -> Identity {
    // SAFETY: typed pointers, and pointer or integer fields of what they point to. A dentry's
    // parent is never null and a parent always has its inode.
    unsafe {
        let parent: *const Opaque = load(place.dentry, offset!(dentry_parent));
        let inode: *const Opaque = load(parent, offset!(dentry_inode));
        Identity {
            number: load(inode, offset!(inode_number)),
            generation: load(inode, offset!(inode_generation)),
            // Plain numbers from here on: the verifier lets nobody calculate with pointers, which
            // is what LLVM makes of several comparisons.
            dentry: scratch.forget(parent as u64),
            mnt: scratch.forget(place.mnt as u64),
            inode: scratch.forget(inode as u64),
        }
    }
}

/// Where the entry for a directory stands, by its inode number.
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
    scratch: &mut Scratch,
    place: Place,
    now: Moment,
) -> Result<Option<Cursor>, Fault> {
    let naming = naming(place.dentry);
    let wanted = identify(scratch, place);
    // SAFETY: an entry of the task's own scratch.
    let entry = unsafe { *slot(scratch, wanted.number) };
    let id = table.long(table::H_ID);
    let same = entry.dentry == wanted.dentry
        && entry.mnt == wanted.mnt
        && entry.inode == wanted.inode
        && entry.number == wanted.number
        && entry.generation == wanted.generation
        && entry.when == now
        && entry.table == id
        && id != 0
        && now.is_quiet();
    // SAFETY: a typed pointer, and the root pointer of what it points to.
    let root: u64 = unsafe { load(place.mnt, offset!(vfsmount_root)) };
    if !same || place.dentry as u64 == root {
        return Ok(None);
    }
    let cursor = Cursor::resume(&table, Space::Path, entry.anchored, entry.floating);
    let start = component(scratch, place.dentry)?;
    // A rename meanwhile may have torn the name, or the name from its parent.
    if start == 0 || naming & 1 != 0 || self::naming(place.dentry) != naming {
        return Ok(None);
    }
    scratch.start = start;
    Ok(Some(cursor))
}

/// The sequence counter of a dentry's own name and parent: odd while they change
/// (`fs/dcache.c:__d_move`).
#[inline(always)]
fn naming(dentry: *const Opaque) -> u32 {
    // SAFETY: a typed pointer, and its embedded 32-bit counter.
    unsafe { load(dentry, offset!(dentry_seq)) }
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
/// its last component, and the moment before the walk.
#[inline(always)]
pub fn remember(
    table: KernelTable,
    scratch: &mut Scratch,
    place: Place,
    cursor: Cursor,
    before: Moment,
) -> Result<(), Fault> {
    // SAFETY: typed pointers, and pointer fields of what they point to.
    let (root, sb): (u64, u64) = unsafe {
        (load(place.mnt, offset!(vfsmount_root)), load(place.dentry, offset!(dentry_sb)))
    };
    let magic: u64 = read(sb + offset!(sb_magic))?;
    if place.dentry as u64 == root || !matches!(magic, EXT4 | XFS | TMPFS) {
        return Ok(());
    }
    // The walk itself was undisturbed; a rename before it would leave an entry that is never used.
    if !before.is_quiet() {
        return Ok(());
    }
    // Behind a remembered name nobody counts the bytes, so any component must fit.
    if scratch.split.wrapping_sub(scratch.start) > (SUBJECT_MAX - NAME_MAX - 1) as u64 {
        return Ok(());
    }
    let Identity { dentry, mnt, inode, number, generation } = identify(scratch, place);
    let entry = Directory {
        dentry,
        mnt,
        inode,
        number,
        when: before,
        generation,
        table: table.long(table::H_ID),
        anchored: cursor.anchored,
        floating: cursor.floating,
    };
    // SAFETY: an entry of the task's own scratch.
    unsafe { *slot(scratch, number) = entry };
    Ok(())
}
