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
    const HOOK: Hook = Hook::FILE_SEND_SIGIOTASK;
    // One of its threads may be meant (`F_OWNER_TID`), which has no tag of its own.
    match tag::effective(Task(ctx.arg(0))) {
        Ok(Some(Tag::SENTRY)) => -HOOK.errno(),
        Ok(_) => 0,
        Err(fault) => {
            judge::count(HOOK, fault);
            -HOOK.errno()
        }
    }
}
