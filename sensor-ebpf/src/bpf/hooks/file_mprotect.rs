//! `int file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)`
//!
//! Making a file that is already mapped executable: the way around `mmap_file` in two steps.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use super::mmap_file::PROT_EXEC;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{File, Opaque, load, offset};

#[lsm(hook = "file_mprotect")]
pub fn file_mprotect(ctx: LsmContext) -> i32 {
    if ctx.arg::<u64>(2) & PROT_EXEC == 0 {
        return 0;
    }
    judge::hook(Hook::FILE_MPROTECT, |actor| try_file_mprotect(&ctx, actor))
}

#[inline(always)]
fn try_file_mprotect(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let vma: *const Opaque = ctx.arg(0);
    // SAFETY: the `struct vm_area_struct *` argument, and one of its pointer fields.
    let file: *const Opaque = unsafe { load(vma, offset!(vma_file)) };
    if file.is_null() {
        return Ok(Ruling::ALLOW);
    }
    actor.judge_path(Hook::FILE_MPROTECT, Rights::MAP, File(file).place())
}
