//! `int path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int dev)`
//!
//! Making a file: `open` with `O_CREAT`, `mknod`, `bind` of a unix socket.
//!
//! `open` asks before it knows whether the file exists (`fs/namei.c:lookup_open`): while the name
//! is still being looked up, a refusal here counts only if nothing turns up. Such a call must not
//! be reported, for the open may well go through. It is answered with `-ESTALE`: for an existing
//! file that is dropped like any error; for a missing one `open` looks the name up again, finds
//! the negative entry that it has just made, and asks here once more, now for good. File systems
//! that keep no negative entries (tmpfs) come back with the same question, which is why the
//! refused name is remembered.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{ESTALE, Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::verdict::Verdict;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::scratch::Scratch;
use crate::bpf::vmlinux::{Opaque, Place, S_IFBLK, S_IFCHR, S_IFMT, offset, read};

#[lsm(hook = "path_mknod")]
pub fn path_mknod(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_MKNOD, |actor| try_path_mknod(&ctx, actor))
}

#[inline(always)]
fn try_path_mknod(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let dentry: *const Opaque = ctx.arg(1);
    let place = Place { mnt: super::mount_of(ctx.arg(0)), dentry };
    let (dentry, mode, dev) = (dentry as u64, ctx.arg::<u16>(2) & S_IFMT, ctx.arg::<u32>(3));
    // A character device 0:0 is a whiteout, which every user may make.
    let device = mode == S_IFBLK || (mode == S_IFCHR && dev != 0);
    let rights = if device { Rights::CREATE.or(Rights::DEVICE) } else { Rights::CREATE };
    let mut ruling = actor.judge_path(Hook::PATH_MKNOD, rights, place)?;
    if super::lends_identity(mode, ctx.arg::<u16>(2)) {
        ruling = super::refuse_set_id(actor, Hook::PATH_MKNOD, rights, place, ruling)?;
    }
    if ruling.decision.verdict == Verdict::Allow {
        return Ok(ruling);
    }
    let scratch = actor.scratch();
    let flags: u32 = read(dentry + offset!(dentry_flags))?;
    let speculative = u64::from(flags) & offset!(dcache_par_lookup) != 0;
    if speculative && ruling.decision.verdict == Verdict::Audit {
        // `file_open` reports it if the file is really made.
        return Ok(Ruling::ALLOW);
    }
    if speculative && !asked_before(scratch, dentry)? {
        return Ok(Ruling { errno: ESTALE, ..ruling }.silent());
    }
    scratch.pending_parent = 0;
    scratch.reported = dentry;
    Ok(ruling)
}

/// Whether the task's last refused creation was of the same name; remembers this one.
#[inline(always)]
fn asked_before(scratch: &mut Scratch, dentry: u64) -> Result<bool, Fault> {
    let [parent, name]: [u64; 2] = read(dentry + offset!(dentry_parent))?;
    let before = scratch.pending_parent == parent && scratch.pending_name == name;
    scratch.pending_parent = parent;
    scratch.pending_name = name;
    Ok(before)
}
