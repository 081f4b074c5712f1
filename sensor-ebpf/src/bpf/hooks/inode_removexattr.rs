//! `int inode_removexattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name)`
//!
//! Removing an extended attribute, and before 6.2 an access control list.

use crate::bpf::judge::{self, Actor, Ruling};
use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

#[lsm(hook = "inode_removexattr")]
pub fn inode_removexattr(ctx: LsmContext) -> i32 {
    judge::hook(Hook::INODE_REMOVEXATTR, |actor| try_inode_removexattr(&ctx, actor))
}

#[inline(always)]
fn try_inode_removexattr(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_xattr(actor, Hook::INODE_REMOVEXATTR, ctx.arg::<u64>(1), ctx.arg::<u64>(2))
}
