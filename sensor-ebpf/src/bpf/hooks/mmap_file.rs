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
use crate::bpf::kept;
use crate::bpf::vmlinux::{File, Opaque, is_null};

/// `PROT_EXEC` (`mmap(2)`).
pub const PROT_EXEC: u64 = 4;
/// See [`PROT_EXEC`]; `MAP_SHARED_VALIDATE` has this bit too.
const MAP_SHARED: u64 = 1;
/// `FMODE_WRITE` (`include/linux/fs.h`).
const FMODE_WRITE: u32 = 2;

#[lsm(hook = "mmap_file")]
pub fn mmap_file(ctx: LsmContext) -> i32 {
    // `prot` and not `reqprot`: the kernel has folded READ_IMPLIES_EXEC into it.
    if is_null(&ctx, 0) {
        return 0;
    }
    let file: *const Opaque = ctx.arg(0);
    // Once more for 7.x, whose verifier knows that this argument may be null.
    if file.is_null() {
        return 0;
    }
    judge::hook(Hook::MMAP_FILE, |actor| try_mmap_file(&ctx, File(file), actor))
}

#[inline(always)]
fn try_mmap_file(ctx: &LsmContext, file: File, actor: &Actor) -> Result<Ruling, Fault> {
    if ctx.arg::<u64>(2) & PROT_EXEC == 0 {
        // Content, which was judged when the file was opened, unless that was before the tag. A mapping
        // that is shared can be made writable later without a word to anybody.
        let shared = ctx.arg::<u64>(3) & MAP_SHARED != 0 && file.mode() & FMODE_WRITE != 0;
        let right = if shared { Rights::READ.or(Rights::WRITE) } else { Rights::READ };
        return kept::judge(actor, Hook::MMAP_FILE, file, right);
    }
    actor.judge_path(Hook::MMAP_FILE, Rights::MAP, file.place())
}
