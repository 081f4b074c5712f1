//! `int file_ioctl_compat(struct file *file, unsigned int cmd, unsigned long arg)`
//!
//! The commands of 32-bit programs, since 6.8 and its back-ports; before, they come by `file_ioctl`.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::command;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::File;

#[lsm(hook = "file_ioctl_compat")]
pub fn file_ioctl_compat(ctx: LsmContext) -> i32 {
    judge::hook(Hook::FILE_IOCTL_COMPAT, |actor| try_file_ioctl_compat(&ctx, actor))
}

#[inline(always)]
fn try_file_ioctl_compat(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    command::judge(actor, Hook::FILE_IOCTL_COMPAT, File(ctx.arg(0)), ctx.arg::<u32>(1))
}
