//! `int task_setnice(struct task_struct *p, int nice)`
//!
//! Changing a task's nice value (`setpriority`, also of all processes of a group or user at once).

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::act::Act;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::Task;

#[lsm(hook = "task_setnice")]
pub fn task_setnice(ctx: LsmContext) -> i32 {
    judge::hook(Hook::TASK_SETNICE, |actor| try_task_setnice(&ctx, actor))
}

#[inline(always)]
fn try_task_setnice(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_process(actor, Hook::TASK_SETNICE, Act::SCHEDULE, Task(ctx.arg(0)))
}
