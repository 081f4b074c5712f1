//! `int path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)`
//!
//! Making a symbolic link. Where it points is of no interest: every hook sees what a name resolves
//! to, never the link.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "path_symlink")]
pub fn path_symlink(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_SYMLINK, |actor| try_path_symlink(&ctx, actor))
}

#[inline(always)]
fn try_path_symlink(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_entry(actor, Hook::PATH_SYMLINK, Rights::CREATE, ctx.arg(0), ctx.arg(1))
}
