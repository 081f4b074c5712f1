//! `int task_setscheduler(struct task_struct *p)`
//!
//! Changing another task's scheduler, priority under it, or processors (`sched_setscheduler`,
//! `sched_setattr`, `sched_setaffinity`), by which it could be starved.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::act::Act;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::Task;

#[lsm(hook = "task_setscheduler")]
pub fn task_setscheduler(ctx: LsmContext) -> i32 {
    judge::hook(Hook::TASK_SETSCHEDULER, |actor| try_task_setscheduler(&ctx, actor))
}

#[inline(always)]
fn try_task_setscheduler(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_process(actor, Hook::TASK_SETSCHEDULER, Act::SCHEDULE, Task(ctx.arg(0)))
}
