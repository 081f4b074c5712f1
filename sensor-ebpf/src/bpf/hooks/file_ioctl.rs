//! `int file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)`
//!
//! Commands to whatever is behind a descriptor, by an allow list: [`sensor_ebpf::ioctl`].

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::command;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::File;

#[lsm(hook = "file_ioctl")]
pub fn file_ioctl(ctx: LsmContext) -> i32 {
    judge::hook(Hook::FILE_IOCTL, |actor| try_file_ioctl(&ctx, actor))
}

#[inline(always)]
fn try_file_ioctl(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    command::judge(actor, Hook::FILE_IOCTL, File(ctx.arg(0)), ctx.arg::<u32>(1))
}
