//! `int inode_unlink(struct inode *dir, struct dentry *dentry)`
//!
//! Removing a POSIX message queue (`mq_unlink`), which no hook with a path sees. Everything else that comes by here
//! was judged by one; see [`super::judge_queue`].

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "inode_unlink")]
pub fn inode_unlink(ctx: LsmContext) -> i32 {
    judge::hook(Hook::INODE_UNLINK, |actor| try_inode_unlink(&ctx, actor))
}

#[inline(always)]
fn try_inode_unlink(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_queue(actor, Hook::INODE_UNLINK, Rights::DELETE, ctx.arg(1))
}
