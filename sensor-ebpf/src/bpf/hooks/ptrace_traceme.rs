//! `int ptrace_traceme(struct task_struct *parent)`
//!
//! Asking to be traced by the parent, which then gets stops that it never asked for. Inside the agent
//! that is how debuggers start what they debug; a parent outside is acted on.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::act::Act;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::Task;

#[lsm(hook = "ptrace_traceme")]
pub fn ptrace_traceme(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PTRACE_TRACEME, |actor| try_ptrace_traceme(&ctx, actor))
}

#[inline(always)]
fn try_ptrace_traceme(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_process(actor, Hook::PTRACE_TRACEME, Act::TRACE, Task(ctx.arg(0)))
}
