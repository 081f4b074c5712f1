//! `int task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred)`
//!
//! Signals that a process sends (the kernel's own do not come here). An agent may signal itself, and
//! others only as its policy says: never the process that watches over it, nor a peer that is held.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::act::Act;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{Task, is_null};

#[lsm(hook = "task_kill")]
pub fn task_kill(ctx: LsmContext) -> i32 {
    // With credentials the sender is a device's completion, and the running task a bystander; signal
    // 0 only asks whether a process is there.
    if ctx.arg::<i32>(2) == 0 || !is_null(&ctx, 3) {
        return 0;
    }
    judge::hook(Hook::TASK_KILL, |actor| try_task_kill(&ctx, actor))
}

#[inline(always)]
fn try_task_kill(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_process(actor, Hook::TASK_KILL, Act::SIGNAL, Task(ctx.arg(0)))
}
