//! `int path_truncate(const struct path *path)`
//!
//! `truncate(2)`, which opens nothing; on 6.1 `ftruncate` and `O_TRUNC` too, whose file was
//! judged for writing when it was opened.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{Opaque, Place, load, offset};

#[lsm(hook = "path_truncate")]
pub fn path_truncate(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_TRUNCATE, |actor| try_path_truncate(&ctx, actor))
}

#[inline(always)]
fn try_path_truncate(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let path: *const Opaque = ctx.arg(0);
    // SAFETY: a `const struct path *` argument, and one of its pointer fields.
    let dentry: *const Opaque = unsafe { load(path, offset!(path_dentry)) };
    actor.judge_path(
        Hook::PATH_TRUNCATE,
        Rights::WRITE,
        Place { mnt: super::mount_of(path), dentry },
    )
}
