//! `int task_setioprio(struct task_struct *p, int ioprio)`
//!
//! Changing a task's place in the disk's queue (`ioprio_set`, also of a group or user at once).

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::act::Act;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::Task;

#[lsm(hook = "task_setioprio")]
pub fn task_setioprio(ctx: LsmContext) -> i32 {
    judge::hook(Hook::TASK_SETIOPRIO, |actor| try_task_setioprio(&ctx, actor))
}

#[inline(always)]
fn try_task_setioprio(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_process(actor, Hook::TASK_SETIOPRIO, Act::SCHEDULE, Task(ctx.arg(0)))
}
