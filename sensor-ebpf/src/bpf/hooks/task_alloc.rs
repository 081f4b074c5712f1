//! `int task_alloc(struct task_struct *task, unsigned long clone_flags)`
//!
//! Every new process and thread, before anybody can see it: the child of a tagged task gets the
//! same tag, whoever its parent will be (`CLONE_PARENT`), and if that fails there is no child.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::maps::TAGS;
use crate::bpf::vmlinux::Task;

#[lsm(hook = "task_alloc")]
pub fn task_alloc(ctx: LsmContext) -> i32 {
    judge::hook(Hook::TASK_ALLOC, |actor| try_task_alloc(&ctx, actor))
}

#[inline(always)]
fn try_task_alloc(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let child = Task(ctx.arg(0));
    let mut tag = actor.tag;
    // SAFETY: null or a whole tag.
    match unsafe { TAGS.get_or_create(child, &raw mut tag).as_ref() } {
        Some(copied) if *copied == actor.tag => Ok(Ruling::ALLOW),
        _ => Err(Fault::NO_TAG),
    }
}
