//! `int task_alloc(struct task_struct *task, unsigned long clone_flags)`
//!
//! Every new process and thread, before anybody can see it: the child of a tagged task gets the
//! same tag, whoever its parent will be (`CLONE_PARENT`), and if that fails there is no child. None is
//! born into another cgroup.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{EACCES, Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling, Subject};
use crate::bpf::maps::TAGS;
use crate::bpf::tagging;
use crate::bpf::vmlinux::{self, Task, negative};

/// `CLONE_INTO_CGROUP` (`clone3(2)`).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

#[lsm(hook = "task_alloc")]
pub fn task_alloc(ctx: LsmContext) -> i32 {
    let hook = Hook::TASK_ALLOC;
    if let Err(fault) = tagging::on_fork(vmlinux::current(), Task(ctx.arg(0))) {
        // It was to be confined and cannot be.
        judge::count(hook, fault);
        return negative(hook.errno());
    }
    judge::hook(Hook::TASK_ALLOC, |actor| try_task_alloc(&ctx, actor))
}

#[inline(always)]
fn try_task_alloc(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    // Into another cgroup, which no hook sees: limits would end there. Refused also where the policy only
    // reports.
    if ctx.arg::<u64>(1) & CLONE_INTO_CGROUP != 0 {
        let ruling = Ruling::refuse(Hook::TASK_ALLOC, Rights::KERNEL, Subject::NONE);
        return Ok(Ruling { errno: EACCES, ..ruling });
    }
    let child = Task(ctx.arg(0));
    let mut tag = actor.tag;
    // SAFETY: null or a whole tag.
    match unsafe { TAGS.get_or_create(child, &raw mut tag).as_ref() } {
        Some(copied) if *copied == actor.tag => Ok(Ruling::ALLOW),
        _ => Err(Fault::NO_TAG),
    }
}
