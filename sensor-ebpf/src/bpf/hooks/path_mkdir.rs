//! `int path_mkdir(const struct path *dir, struct dentry *dentry, umode_t mode)`
//!
//! Making a directory.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "path_mkdir")]
pub fn path_mkdir(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_MKDIR, |actor| try_path_mkdir(&ctx, actor))
}

#[inline(always)]
fn try_path_mkdir(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_entry(actor, Hook::PATH_MKDIR, Rights::CREATE, ctx.arg(0), ctx.arg(1))
}
