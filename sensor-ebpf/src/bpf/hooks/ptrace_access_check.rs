//! `int ptrace_access_check(struct task_struct *child, unsigned int mode)`
//!
//! Reaching into another process: `ptrace`, `process_vm_readv`, `pidfd_getfd`, `kcmp`, and what
//! `/proc/PID` shows to the owner only (`mem`, `maps`, `environ`, `fd`, `root`, `cwd`).

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::act::Act;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::Task;

/// `PTRACE_MODE_ATTACH` (`include/linux/ptrace.h`): to change it, not only to look.
const PTRACE_MODE_ATTACH: u32 = 2;
/// `PTRACE_MODE_NOAUDIT` (`include/linux/ptrace.h`): the caller only decides what to show.
const PTRACE_MODE_NOAUDIT: u32 = 4;

#[lsm(hook = "ptrace_access_check")]
pub fn ptrace_access_check(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PTRACE_ACCESS_CHECK, |actor| try_ptrace_access_check(&ctx, actor))
}

#[inline(always)]
fn try_ptrace_access_check(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let mode = ctx.arg::<u32>(1);
    let act = if mode & PTRACE_MODE_ATTACH != 0 { Act::TRACE } else { Act::INSPECT };
    let ruling = super::judge_process(actor, Hook::PTRACE_ACCESS_CHECK, act, Task(ctx.arg(0)))?;
    if mode & PTRACE_MODE_NOAUDIT != 0 { Ok(ruling.silent()) } else { Ok(ruling) }
}
