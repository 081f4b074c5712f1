//! `int file_truncate(struct file *file)`
//!
//! `ftruncate`, since 6.2; before, `path_truncate` sees it. Attached on demand, as `file_permission` is.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::kept;
use crate::bpf::vmlinux::File;

#[lsm(hook = "file_truncate")]
pub fn file_truncate(ctx: LsmContext) -> i32 {
    judge::hook(Hook::FILE_TRUNCATE, |actor| try_file_truncate(&ctx, actor))
}

#[inline(always)]
fn try_file_truncate(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    kept::judge(actor, Hook::FILE_TRUNCATE, File(ctx.arg(0)), Rights::WRITE)
}
