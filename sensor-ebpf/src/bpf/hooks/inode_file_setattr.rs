//! `int inode_file_setattr(struct dentry *dentry, struct file_kattr *fa)`
//!
//! Changing a file's flags and project (`chattr`), since 6.17, which has a system call for it beside the
//! `ioctl`; before, `file_ioctl` sees it.

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::view::Question;
use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

#[lsm(hook = "inode_file_setattr")]
pub fn inode_file_setattr(ctx: LsmContext) -> i32 {
    judge::hook(Hook::INODE_FILE_SETATTR, |actor| try_inode_file_setattr(&ctx, actor))
}

#[inline(always)]
fn try_inode_file_setattr(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    actor.judge_dentry(Hook::INODE_FILE_SETATTR, Question::attr(ctx.arg(0)))
}
