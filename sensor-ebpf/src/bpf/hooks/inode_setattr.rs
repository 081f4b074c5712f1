//! `int inode_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)`, without its
//! first argument before 6.9
//!
//! Changing a file's times: `utimensat` and its kin, which have no hook with a path. Every other change
//! that comes by here was judged by the hook of its own (`path_chmod`, `path_chown`, `path_truncate`) or
//! follows from a write.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::view::Question;
use crate::bpf::vmlinux::{argument_at, offset, read};

/// `ATTR_ATIME_SET`, `ATTR_MTIME_SET` and `ATTR_TIMES_SET` (`include/linux/fs.h`): times that somebody
/// has chosen.
const ATTR_TIMES: u32 = 1 << 7 | 1 << 8 | 1 << 16;
/// Times that are set to now because somebody asked for just that.
const ATTR_TOUCH: u32 = 1 << 17;

#[lsm(hook = "inode_setattr")]
pub fn inode_setattr(ctx: LsmContext) -> i32 {
    judge::hook(Hook::INODE_SETATTR, |actor| try_inode_setattr(&ctx, actor))
}

#[inline(always)]
fn try_inode_setattr(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let at = offset!(setattr_dentry);
    let valid: u32 = read(argument_at(ctx, at + 1)? + offset!(iattr_valid))?;
    if valid & (ATTR_TIMES | ATTR_TOUCH) == 0 {
        return Ok(Ruling::ALLOW);
    }
    // What is set to now might as well have been written to.
    let instead = if valid & ATTR_TIMES == 0 { Rights::WRITE } else { Rights::NONE };
    let dentry = argument_at(ctx, at)?;
    actor.judge_dentry(Hook::INODE_SETATTR, Question { dentry, right: Rights::ATTR, instead })
}
