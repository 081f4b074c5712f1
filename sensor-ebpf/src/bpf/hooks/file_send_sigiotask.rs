//! `int file_send_sigiotask(struct task_struct *tsk, struct fown_struct *fown, int sig)`
//!
//! A signal that comes with input: whoever set it up may be long gone, and runs through `file_fcntl`, which
//! knows a number only and where a policy only reports lets it pass. Picket's own processes get none,
//! whoever asked for it: no policy opens those.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::Hook;
use sensor_ebpf::tag::Tag;

use crate::bpf::judge;
use crate::bpf::tag;
use crate::bpf::vmlinux::Task;

#[lsm(hook = "file_send_sigiotask")]
pub fn file_send_sigiotask(ctx: LsmContext) -> i32 {
    let target = Task(ctx.arg(0));
    // One of its threads may be meant (`F_OWNER_TID`), which has no tag of its own.
    if is_sentry(target) || is_sentry(target.leader()) {
        -Hook::FILE_SEND_SIGIOTASK.errno()
    } else {
        0
    }
}

/// Whether a task is known to be Picket's own. One of which that cannot be found out is somebody else's,
/// who may well have no tag: nobody without one is refused because of a fault.
#[inline(always)]
fn is_sentry(task: Task) -> bool {
    match tag::of(task) {
        Ok(tag) => tag == Some(Tag::SENTRY),
        Err(fault) => {
            judge::count(Hook::FILE_SEND_SIGIOTASK, fault);
            false
        }
    }
}
