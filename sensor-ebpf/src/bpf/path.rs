//! The canonical name of a file: its path from the root of the mount namespace.
//!
//! `bpf_d_path` cannot serve: no kernel allows it in `path_mknod`, it starts at the caller's own
//! root (which `chroot` changes), and it prints detached mounts as if they were whole. This walker
//! goes up by helpers only, in every hook alike, and takes the kernel's own precaution against
//! names that change meanwhile: the sequence counters of `rename_lock` and `mount_lock`
//! (`fs/d_path.c:prepend_path`).

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel};
use sensor_ebpf::hook::Fault;
use sensor_ebpf::limits::{NAME_MAX, SUBJECT_ROOM, WALK_MAX};
use sensor_ebpf::subject::{
    ANON_MEMORY, ANON_OTHER, ANON_PIDFD, ANON_PIPE, ANON_QUEUE, ANON_SOCKET,
};

use super::scratch::Scratch;
use super::vmlinux::{self, Task, in_room, masked, offset, read};

/// How an object is named. Two plain words and no enum with contents: what LLVM leaves undefined in
/// those, the verifier refuses to see stored.
#[derive(Clone, Copy)]
pub struct Name {
    /// Which of the three.
    pub kind: Kind,
    /// Of a path, the index of its first byte in the room; of an anonymous file, its `ANON_*`.
    pub start: u32,
}

/// See [`Name::kind`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kind(u32);

impl Kind {
    /// By the path at `room[start..SUBJECT_ROOM]`.
    pub const PATH: Kind = Kind(0);
    /// Not at all: it lives on a mount that the kernel keeps to itself.
    pub const ANON: Kind = Kind(1);
    /// By nothing an agent could have named: a layer below a file system (overlayfs opens its
    /// upper and lower files on private clones of their mounts), judged one level up already.
    pub const LAYER: Kind = Kind(2);
}

/// How often a walk is tried while names change: some tenths of a second. The kernel's own readers of these
/// counters try for as long as it takes. Whoever moves something does so in a moment and with pre-emption
/// off, but a virtual processor may be taken away in that moment for milliseconds. (To look first whether a
/// change is under way, and not walk then, takes more of the stack than 6.1 leaves `path_mknod`.)
const TRIES: u32 = 1 << 16;

/// The low bits of both counters in [`sequence`]'s word: set while a change is under way.
const CHANGING: u64 = 1 << 32 | 1;

/// `MNT_NS_INTERNAL` (`fs/mount.h`): `ERR_PTR(-EINVAL)`.
const MNT_NS_INTERNAL: u64 = -22_i64 as u64;
/// `SB_KERNMOUNT` (`include/linux/fs.h`): made by `kern_mount`, for the kernel itself.
const SB_KERNMOUNT: u64 = 1 << 22;
/// Magic numbers of `include/uapi/linux/magic.h`.
const PIPEFS_MAGIC: u64 = 0x5049_5045;
/// See [`PIPEFS_MAGIC`].
const TMPFS_MAGIC: u64 = 0x0102_1994;
/// See [`PIPEFS_MAGIC`].
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;
/// See [`PIPEFS_MAGIC`].
const PID_FS_MAGIC: u64 = 0x5049_4446;
/// See [`PIPEFS_MAGIC`].
const SOCKFS_MAGIC: u64 = 0x534f_434b;
/// Of message queues (`ipc/mqueue.c`).
pub const MQUEUE_MAGIC: u64 = 0x1980_0202;
/// See [`PIPEFS_MAGIC`].
const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// State of one walk. Lives on the stack of the walking program; the callback gets its address.
struct Walk {
    scratch: *mut Scratch,
    /// Where the walk stands.
    dentry: u64,
    /// Root dentry of the mount it stands in.
    root: u64,
    /// `struct mount` it stands in.
    mount: u64,
}

impl Walk {
    /// Outcome of a walk that has not reached the root.
    const UNDER_WAY: u64 = 1 << 32;
    /// Outcome of a walk that has. Anything else is the fault that ended it.
    const DONE: u64 = 1 << 33;

    #[inline(always)]
    fn scratch(&mut self) -> &mut Scratch {
        // SAFETY: the scratch of the task that is walking, which nobody else touches meanwhile.
        unsafe { &mut *self.scratch }
    }
}

/// Writes the canonical name of `dentry` on `mnt` (a `struct vfsmount`) into `scratch`.
#[inline(always)]
pub fn name(task: Task, scratch: &mut Scratch, mnt: u64, dentry: u64) -> Result<Name, Fault> {
    let mount = mnt.wrapping_sub(offset!(mount_vfsmount));
    let namespace: u64 = read(mount + offset!(mount_ns))?;
    if namespace != task.mount_namespace() {
        // Message queues are on a mount that is nowhere (`ipc/mqueue.c:mq_create_mount`).
        if namespace != MNT_NS_INTERNAL && !(namespace == 0 && is_queue(dentry)?) {
            return Err(Fault::FOREIGN_MOUNT);
        }
        return internal(dentry);
    }
    match walk(scratch, mnt, dentry) {
        FOUND => Ok(Name { kind: Kind::PATH, start: scratch.start as u32 }),
        fault => Err(Fault(fault & (Fault::MAX - 1))),
    }
}

/// What [`walk`] returns for a path that it found.
pub const FOUND: u32 = 1 << 31;

/// Where a walk begins. Lives on the stack of the walking function.
struct Origin {
    scratch: *mut Scratch,
    mnt: u64,
    dentry: u64,
}

/// Walks until nothing has disturbed it. Returns [`FOUND`], with the path in the scratch, or the
/// fault. A function of its own with a plain number for a result, because a program that walks twice
/// would not fit on the stack with both walks in it.
#[inline(never)]
pub fn walk(scratch: &mut Scratch, mnt: u64, dentry: u64) -> u32 {
    scratch.outcome = u64::from(Fault::UNSTABLE_PATH.0);
    // Not for each try: what a try left here is told by the path that another has written.
    scratch.below = [0; 2];
    scratch.thread = 0;
    let mut origin = Origin { scratch: &raw mut *scratch, mnt, dentry };
    // SAFETY: the callback has the signature that the helper demands, and `origin` outlives it.
    unsafe {
        bpf_loop(TRIES, attempt as *mut core::ffi::c_void, (&raw mut origin).cast(), 0);
    }
    match scratch.outcome {
        Walk::DONE => {
            if scratch.thread != 0 {
                own_thread(scratch);
            }
            FOUND
        }
        Walk::UNDER_WAY => Fault::PATH_TOO_LONG.0,
        fault => fault as u32,
    }
}

/// One try. Returns 1, which ends the loop, unless something changed meanwhile. A callback like
/// [`step`], so that the verifier looks at one try and not at all of them in turn.
unsafe extern "C" fn attempt(_: u64, origin: *mut Origin) -> i64 {
    // SAFETY: the helper passes on the pointer that `walk` gave it, and the scratch in it is that
    // of the task that is walking.
    let (origin, scratch) = unsafe { (&*origin, &mut *(*origin).scratch) };
    match try_walk(scratch, origin.mnt, origin.dentry) {
        Ok(true) => 1,
        Ok(false) => {
            scratch.outcome = u64::from(Fault::UNSTABLE_PATH.0);
            0
        }
        Err(Fault(fault)) => {
            scratch.outcome = u64::from(fault);
            1
        }
    }
}

/// Walks once; whether nothing changed meanwhile.
#[inline(always)]
fn try_walk(scratch: &mut Scratch, mnt: u64, dentry: u64) -> Result<bool, Fault> {
    let mount = mnt.wrapping_sub(offset!(mount_vfsmount));
    let root: u64 = read(mnt + offset!(vfsmount_root))?;
    let before = sequence()?;
    scratch.start = SUBJECT_ROOM as u64;
    scratch.outcome = Walk::UNDER_WAY;
    let mut walk = Walk { scratch: &raw mut *scratch, dentry, root, mount };
    // SAFETY: the callback has the signature that the helper demands, and `walk` outlives it.
    unsafe {
        bpf_loop(WALK_MAX, step as *mut core::ffi::c_void, (&raw mut walk).cast(), 0);
    }
    if scratch.outcome == Walk::DONE && scratch.start >= SUBJECT_ROOM as u64 {
        scratch.start = SUBJECT_ROOM as u64 - 1;
        scratch.split = scratch.start;
        scratch.room[SUBJECT_ROOM - 1] = b'/';
    }
    Ok(before & CHANGING == 0 && sequence()? == before)
}

/// Both sequence counters, one in each half: even while nothing changes, and growing with each
/// change (`include/linux/seqlock.h`).
#[inline(always)]
fn sequence() -> Result<u64, Fault> {
    let mounts: u32 = read(offset!(mount_seq))?;
    Ok(u64::from(renames()?) << 32 | u64::from(mounts))
}

/// The sequence counter of `mount_lock`: odd while any mount changes.
#[inline(always)]
pub fn mounts() -> Result<u32, Fault> {
    read(offset!(mount_seq))
}

/// The sequence counter of `rename_lock`: odd while any dentry is being moved.
#[inline(always)]
pub fn renames() -> Result<u32, Fault> {
    read(offset!(rename_seq))
}

/// Whether a dentry is on the file system of message queues.
#[inline(always)]
fn is_queue(dentry: u64) -> Result<bool, Fault> {
    Ok(vmlinux::magic_of(dentry)? == MQUEUE_MAGIC)
}

/// Sorts what is on a mount that the kernel keeps to itself.
#[inline(always)]
pub fn internal(dentry: u64) -> Result<Name, Fault> {
    let sb: u64 = read(dentry + offset!(dentry_sb))?;
    let flags: u64 = read(sb + offset!(sb_flags))?;
    if flags & SB_KERNMOUNT == 0 {
        return Ok(Name { kind: Kind::LAYER, start: 0 });
    }
    let magic: u64 = read(sb + offset!(sb_magic))?;
    let what = match magic {
        PIPEFS_MAGIC => ANON_PIPE,
        TMPFS_MAGIC | HUGETLBFS_MAGIC => ANON_MEMORY,
        PID_FS_MAGIC => ANON_PIDFD,
        SOCKFS_MAGIC => ANON_SOCKET,
        MQUEUE_MAGIC => ANON_QUEUE,
        _ => ANON_OTHER,
    };
    Ok(Name { kind: Kind::ANON, start: u32::from(what) })
}

/// One step up: over a mount point, or over one component. Returns 1 to end the loop.
unsafe extern "C" fn step(_: u64, walk: *mut Walk) -> i64 {
    // SAFETY: the helper passes on the pointer that `name` gave it.
    let walk = unsafe { &mut *walk };
    let result = if walk.dentry == walk.root { cross(walk) } else { component(walk) };
    match result {
        Ok(Walk::UNDER_WAY) => 0,
        Ok(outcome) => {
            walk.scratch().outcome = outcome;
            1
        }
        Err(Fault(fault)) => {
            walk.scratch().outcome = u64::from(fault);
            1
        }
    }
}

/// Leaves the mount that the walk has reached the root of. The namespace's own root is the mount
/// that is its own parent.
#[inline(always)]
fn cross(walk: &mut Walk) -> Result<u64, Fault> {
    // `mnt_parent` and `mnt_mountpoint` are neighbours, which the loader has checked.
    let [parent, mountpoint]: [u64; 2] = read(walk.mount + offset!(mount_parent))?;
    if parent == walk.mount {
        return Ok(Walk::DONE);
    }
    walk.mount = parent;
    walk.dentry = mountpoint;
    walk.root = read(parent + offset!(mount_vfsmount) + offset!(vfsmount_root))?;
    Ok(Walk::UNDER_WAY)
}

/// Writes one component in front of what is there.
#[inline(always)]
fn component(walk: &mut Walk) -> Result<u64, Fault> {
    // `d_parent` and `d_name` are neighbours, which the loader has checked; `d_name` is a
    // `struct qstr`: hash (32 bits), length (32 bits), pointer.
    let [parent, hash_len, name]: [u64; 3] = read(walk.dentry + offset!(dentry_parent))?;
    if parent == walk.dentry {
        // A root that is no mount's root: the file system was reached by a handle or detached.
        return Err(Fault::FOREIGN_MOUNT);
    }
    let len = hash_len >> 32;
    if len > NAME_MAX as u64 {
        return Err(Fault::UNREADABLE);
    }
    let start = walk.scratch().start;
    if len + 1 >= start {
        return Err(Fault::PATH_TOO_LONG);
    }
    let first = put(walk.scratch(), start - len - 1, len, name)?;
    if parent == walk.root && first.is_ascii_digit() && is_own_process(walk)? {
        own_process(walk.scratch(), start)?;
        walk.scratch().thread = thread_below(walk)?;
    } else {
        walk.scratch().start = start - len - 1;
    }
    if start == SUBJECT_ROOM as u64 {
        walk.scratch().split = walk.scratch().start;
    }
    let dentry = walk.dentry;
    let below = &mut walk.scratch().below;
    *below = [dentry, below[0]];
    walk.dentry = parent;
    Ok(Walk::UNDER_WAY)
}

/// Writes `/` at `at` and the `len` bytes at kernel address `name` behind it; returns the name's
/// first byte.
#[inline(always)]
pub fn put(scratch: &mut Scratch, at: u64, len: u64, name: u64) -> Result<u8, Fault> {
    let at = in_room(at);
    // SAFETY: `at` is below SUBJECT_ROOM and the length at most NAME_MAX, and the room has
    // NAME_MAX + 1 bytes behind SUBJECT_ROOM.
    unsafe {
        let slash = scratch.room.as_mut_ptr().add(at);
        slash.write_volatile(b'/');
        let code = bpf_probe_read_kernel(
            slash.add(1).cast(),
            masked::<{ NAME_MAX as u64 }>(len) as u32,
            name as *const core::ffi::c_void,
        );
        if code == 0 { Ok(slash.add(1).read_volatile()) } else { Err(Fault::UNREADABLE) }
    }
}

/// Whether the dentry that the walk stands on is the acting task's own entry in a procfs.
#[inline(always)]
fn is_own_process(walk: &Walk) -> Result<bool, Fault> {
    let sb: u64 = read(walk.dentry + offset!(dentry_sb))?;
    let magic: u64 = read(sb + offset!(sb_magic))?;
    let inode: u64 = read(walk.dentry + offset!(dentry_inode))?;
    if magic != PROC_SUPER_MAGIC || inode == 0 {
        return Ok(false);
    }
    let proc_inode = inode.wrapping_sub(offset!(proc_inode_vfs));
    let pid: u64 = read(proc_inode + offset!(proc_inode_pid))?;
    Ok(pid == vmlinux::current().thread_group()?)
}

/// Writes `/self` where the task's own pid would have stood, so that no rule ever needs to name a
/// pid.
#[inline(always)]
fn own_process(scratch: &mut Scratch, start: u64) -> Result<(), Fault> {
    const SELF: [u8; 5] = *b"/self";
    if start <= SELF.len() as u64 {
        return Err(Fault::PATH_TOO_LONG);
    }
    scratch.start = start - SELF.len() as u64;
    let at = in_room(scratch.start);
    let mut i = 0;
    while i < SELF.len() {
        // SAFETY: `at` is below SUBJECT_ROOM and there is slack of more than five bytes behind it.
        unsafe { scratch.room.as_mut_ptr().add(at + i).write_volatile(SELF[i]) };
        i += 1;
    }
    Ok(())
}

/// Length of the name of the entry two below, if it is the acting thread's own; else 0. The walk stands
/// on the process's entry, and the name between is yet to be looked at.
#[inline(always)]
fn thread_below(walk: &mut Walk) -> Result<u64, Fault> {
    let entry = walk.scratch().below[1];
    if entry == 0 {
        return Ok(0);
    }
    let procfs: u64 = read(walk.dentry + offset!(dentry_sb))?;
    let sb: u64 = read(entry + offset!(dentry_sb))?;
    let inode: u64 = read(entry + offset!(dentry_inode))?;
    if sb != procfs || inode == 0 {
        return Ok(0);
    }
    let pid: u64 = read(inode.wrapping_sub(offset!(proc_inode_vfs)) + offset!(proc_inode_pid))?;
    if pid != vmlinux::current().thread() {
        return Ok(0);
    }
    let len: u32 = read(entry + offset!(dentry_name) + 4)?;
    Ok(u64::from(len))
}

/// Makes `/proc/thread-self` of the `/proc/self/task/TID` that a whole path begins with, where that is the
/// thread's own entry. In another procfs than the one at `/proc` it stays what it is: no pattern that
/// covers the one spelling would cover the other (`policy::threads` in userspace sees to it for `/proc`).
#[inline(always)]
fn own_thread(scratch: &mut Scratch) {
    const OF_PROCESS: [u64; 2] =
        [u64::from_ne_bytes(*b"/proc/se"), u64::from_ne_bytes(*b"lf/task/")];
    const OF_THREAD: &[u8; 17] = b"/proc/thread-self";
    let at = in_room(scratch.start);
    // SAFETY: `at` is below SUBJECT_ROOM and there is slack of more than 16 bytes behind it.
    let begins = unsafe {
        let text = scratch.room.as_ptr().add(at).cast::<u64>();
        [text.read_unaligned(), text.add(1).read_unaligned()]
    };
    if begins != OF_PROCESS || scratch.start + 16 >= SUBJECT_ROOM as u64 {
        return;
    }
    let end = scratch.start + 16 + masked::<{ NAME_MAX as u64 }>(scratch.thread);
    scratch.start = end - OF_THREAD.len() as u64;
    if scratch.split < end {
        // The entry itself.
        scratch.split = scratch.start + "/proc".len() as u64;
    }
    let at = in_room(scratch.start);
    let mut i = 0;
    while i < OF_THREAD.len() {
        // SAFETY: as above, of 17 bytes.
        unsafe { scratch.room.as_mut_ptr().add(at + i).write_volatile(OF_THREAD[i]) };
        i += 1;
    }
}
