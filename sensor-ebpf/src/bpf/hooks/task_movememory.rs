//! `int task_movememory(struct task_struct *p)`
//!
//! Moving a process's memory between nodes (`migrate_pages`, `move_pages`). `ptrace_access_check` comes
//! first: whoever may inspect may not yet move.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::act::Act;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::Task;

#[lsm(hook = "task_movememory")]
pub fn task_movememory(ctx: LsmContext) -> i32 {
    judge::hook(Hook::TASK_MOVEMEMORY, |actor| try_task_movememory(&ctx, actor))
}

#[inline(always)]
fn try_task_movememory(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_process(actor, Hook::TASK_MOVEMEMORY, Act::SCHEDULE, Task(ctx.arg(0)))
}
