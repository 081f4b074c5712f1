//! `int path_rmdir(const struct path *dir, struct dentry *dentry)`
//!
//! Taking an empty directory away.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "path_rmdir")]
pub fn path_rmdir(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_RMDIR, |actor| try_path_rmdir(&ctx, actor))
}

#[inline(always)]
fn try_path_rmdir(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_entry(actor, Hook::PATH_RMDIR, Rights::DELETE, ctx.arg(0), ctx.arg(1))
}
