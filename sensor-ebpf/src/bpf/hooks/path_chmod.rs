//! `int path_chmod(const struct path *path, umode_t mode)`
//!
//! Changing a file's mode: `chmod`, `fchmod`, `fchmodat`, `fchmodat2`. Making a set-id program is
//! refused whatever the rules say; see [`super::lends_identity`].

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{Opaque, Place, file_type, load, offset};

#[lsm(hook = "path_chmod")]
pub fn path_chmod(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_CHMOD, |actor| try_path_chmod(&ctx, actor))
}

#[inline(always)]
fn try_path_chmod(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let path: *const Opaque = ctx.arg(0);
    let ruling = super::judge_at(actor, Hook::PATH_CHMOD, Rights::ATTR, path)?;
    // SAFETY: the `const struct path *` argument, and one of its pointer fields.
    let dentry: *const Opaque = unsafe { load(path, offset!(path_dentry)) };
    if !super::lends_identity(file_type(dentry as u64)?, ctx.arg::<u16>(1)) {
        return Ok(ruling);
    }
    let place = Place { mnt: super::mount_of(path), dentry };
    super::refuse_set_id(actor, Hook::PATH_CHMOD, Rights::ATTR, place, ruling)
}
