//! `int task_setrlimit(struct task_struct *p, unsigned int resource, struct rlimit *new_rlim)`
//!
//! Changing resource limits, one's own (`setrlimit`) or another process's (`prlimit`). Reading them is not
//! judged: `task_prlimit` does not say whose they are, and they are no secret.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::act::Act;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::Task;

#[lsm(hook = "task_setrlimit")]
pub fn task_setrlimit(ctx: LsmContext) -> i32 {
    judge::hook(Hook::TASK_SETRLIMIT, |actor| try_task_setrlimit(&ctx, actor))
}

#[inline(always)]
fn try_task_setrlimit(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_process(actor, Hook::TASK_SETRLIMIT, Act::LIMIT, Task(ctx.arg(0)))
}
