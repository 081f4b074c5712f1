//! `int file_open(struct file *file)`
//!
//! Every open of something that has a name: `open` and its kin, io_uring, reopening through
//! `/proc/PID/fd`, and the program, script and interpreter of an `execve`. Not `O_PATH`, which
//! gives no access.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{File, S_IFBLK, S_IFCHR, S_IFDIR};

/// `FMODE_READ` (`include/linux/fs.h`).
const FMODE_READ: u32 = 1;
/// See [`FMODE_READ`].
const FMODE_WRITE: u32 = 2;
/// Set when this very open made the file.
const FMODE_CREATED: u32 = 1 << 20;
/// In `f_flags`: opened by the kernel in order to execute it.
const FMODE_EXEC: u32 = 1 << 5;
/// `open(2)`; every architecture that matters uses the generic numbers for these two.
const O_TRUNC: u32 = 0o1000;
/// The bit of `O_TMPFILE` that is not `O_DIRECTORY`.
const O_TMPFILE: u32 = 0o20_000_000;

#[lsm(hook = "file_open")]
pub fn file_open(ctx: LsmContext) -> i32 {
    judge::hook(Hook::FILE_OPEN, |actor| try_file_open(&ctx, actor))
}

#[inline(always)]
fn try_file_open(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let file = File(ctx.arg(0));
    let place = file.place();
    let dentry = place.dentry as u64;
    let mut rights = requested(file.mode(), file.flags(), file.file_type());
    let scratch = actor.scratch();
    if file.mode() & FMODE_CREATED != 0 && scratch.reported != dentry {
        // A creation that `path_mknod` let through in order to have it reported here.
        rights |= Rights::CREATE;
    }
    scratch.pending_parent = 0;
    scratch.reported = 0;
    let rights = Rights(scratch.forget(u64::from(rights.0)) as u32);
    let ruling = actor.judge_path(Hook::FILE_OPEN, rights, place)?;
    if file.flags() & O_TMPFILE != 0 && super::lends_identity(file.file_type(), file.inode_mode()) {
        // Made by this very open, which `path_mknod` has not seen.
        return super::refuse_set_id(actor, Hook::FILE_OPEN, rights, place, ruling);
    }
    Ok(ruling)
}

/// The rights that an open asks for.
#[inline(always)]
pub fn requested(mode: u32, flags: u32, file_type: u16) -> Rights {
    if flags & FMODE_EXEC != 0 {
        // The image of an `execve` or its ELF interpreter. Which of them it is, and whether the
        // program may run, is seen in `bprm_check_security`; here both are code to be mapped.
        return Rights::MAP;
    }
    let mut rights = Rights::NONE;
    if mode & FMODE_READ != 0 {
        rights |= if file_type == S_IFDIR { Rights::LIST } else { Rights::READ };
    }
    if mode & FMODE_WRITE != 0 || flags & O_TRUNC != 0 {
        rights |= Rights::WRITE;
    }
    if flags & O_TMPFILE != 0 {
        rights |= Rights::CREATE;
    }
    if rights.is_empty() {
        // Access mode 3, which gives a descriptor for `ioctl` alone and takes both permissions.
        rights = Rights::READ.or(Rights::WRITE);
    }
    if matches!(file_type, S_IFCHR | S_IFBLK) {
        // A device node is a door to a driver, wherever it lies and whoever may read its directory.
        rights |= Rights::DEVICE;
    }
    rights
}
