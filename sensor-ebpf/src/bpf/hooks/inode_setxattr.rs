//! `int inode_setxattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name,`
//! `const void *value, size_t size, int flags)`
//!
//! Setting an extended attribute, and before 6.2 an access control list.

use crate::bpf::judge::{self, Actor, Ruling};
use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

#[lsm(hook = "inode_setxattr")]
pub fn inode_setxattr(ctx: LsmContext) -> i32 {
    judge::hook(Hook::INODE_SETXATTR, |actor| try_inode_setxattr(&ctx, actor))
}

#[inline(always)]
fn try_inode_setxattr(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_xattr(actor, Hook::INODE_SETXATTR, ctx.arg::<u64>(1), ctx.arg::<u64>(2))
}
