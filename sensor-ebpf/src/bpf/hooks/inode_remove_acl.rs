//! `int inode_remove_acl(struct mnt_idmap *idmap, struct dentry *dentry, const char *acl_name)`
//!
//! Removing an access control list, since 6.2; before, `inode_removexattr` sees it.

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::view::Question;
use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

#[lsm(hook = "inode_remove_acl")]
pub fn inode_remove_acl(ctx: LsmContext) -> i32 {
    judge::hook(Hook::INODE_REMOVE_ACL, |actor| try_inode_remove_acl(&ctx, actor))
}

#[inline(always)]
fn try_inode_remove_acl(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let question = Question::attr(ctx.arg(1));
    actor.judge_dentry(Hook::INODE_REMOVE_ACL, question)
}
