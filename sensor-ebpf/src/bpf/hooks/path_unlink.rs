//! `int path_unlink(const struct path *dir, struct dentry *dentry)`
//!
//! Taking a file's name away: `unlink`, `unlinkat`, and their io_uring form.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "path_unlink")]
pub fn path_unlink(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_UNLINK, |actor| try_path_unlink(&ctx, actor))
}

#[inline(always)]
fn try_path_unlink(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_entry(actor, Hook::PATH_UNLINK, Rights::DELETE, ctx.arg(0), ctx.arg(1))
}
