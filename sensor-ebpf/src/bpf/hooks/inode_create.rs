//! `int inode_create(struct inode *dir, struct dentry *dentry, umode_t mode)`
//!
//! Making a POSIX message queue (`mq_open`), which no hook with a path sees. Everything else that comes by here
//! was judged by one; see [`super::judge_queue`].

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "inode_create")]
pub fn inode_create(ctx: LsmContext) -> i32 {
    judge::hook(Hook::INODE_CREATE, |actor| try_inode_create(&ctx, actor))
}

#[inline(always)]
fn try_inode_create(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_queue(actor, Hook::INODE_CREATE, Rights::CREATE, ctx.arg(1))
}
