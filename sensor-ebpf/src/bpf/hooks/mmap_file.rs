//! `int mmap_file(struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)`
//!
//! Mapping a file as code: shared libraries, `ld.so /a/program`, `shmat` with `SHM_EXEC`. Memory
//! that belongs to no file is not judged: every JIT compiler needs it, and what it holds was
//! brought there by the agent's own code.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{File, Opaque, is_null};

/// `PROT_EXEC` (`mmap(2)`).
pub const PROT_EXEC: u64 = 4;

#[lsm(hook = "mmap_file")]
pub fn mmap_file(ctx: LsmContext) -> i32 {
    // `prot` and not `reqprot`: the kernel has folded READ_IMPLIES_EXEC into it.
    if ctx.arg::<u64>(2) & PROT_EXEC == 0 || is_null(&ctx, 0) {
        return 0;
    }
    let file: *const Opaque = ctx.arg(0);
    // Once more for 7.x, whose verifier knows that this argument may be null.
    if file.is_null() {
        return 0;
    }
    judge::hook(Hook::MMAP_FILE, |actor| try_mmap_file(File(file), actor))
}

#[inline(always)]
fn try_mmap_file(file: File, actor: &Actor) -> Result<Ruling, Fault> {
    actor.judge_path(Hook::MMAP_FILE, Rights::MAP, file.place())
}
