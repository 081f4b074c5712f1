//! `int path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)`
//!
//! Giving a file a second name. `linkat` demands that both be on one mount (`fs/namei.c:do_linkat`),
//! so the new directory's mount serves for both.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::moves::Move;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::Opaque;

#[lsm(hook = "path_link")]
pub fn path_link(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_LINK, |actor| try_path_link(&ctx, actor))
}

#[inline(always)]
fn try_path_link(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let (old, new): (*const Opaque, *const Opaque) = (ctx.arg(0), ctx.arg(2));
    let mnt = super::mount_of(ctx.arg(1));
    super::judge_move(actor, Hook::PATH_LINK, (old, new), mnt, Move::link())
}
