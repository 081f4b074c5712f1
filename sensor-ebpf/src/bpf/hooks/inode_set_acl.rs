//! `int inode_set_acl(struct mnt_idmap *idmap, struct dentry *dentry, const char *acl_name,`
//! `struct posix_acl *kacl)`
//!
//! Setting an access control list, since 6.2; before, `inode_setxattr` sees it.

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::view::Question;
use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

#[lsm(hook = "inode_set_acl")]
pub fn inode_set_acl(ctx: LsmContext) -> i32 {
    judge::hook(Hook::INODE_SET_ACL, |actor| try_inode_set_acl(&ctx, actor))
}

#[inline(always)]
fn try_inode_set_acl(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let question = Question::attr(ctx.arg(1));
    actor.judge_dentry(Hook::INODE_SET_ACL, question)
}
