//! `int file_receive(struct file *file)`
//!
//! A descriptor from another process: `SCM_RIGHTS`, `pidfd_getfd`, a seccomp supervisor's `ADDFD`. It is
//! judged as if it were opened now, for whoever opened it may not have had a tag. With `SCM_RIGHTS` the
//! kernel drops what is refused and says so by `MSG_CTRUNC`. Sockets are judged by what they are connected
//! to ([`crate::bpf::foreign`]), those of unix here and others in `file_receive_inet`.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use super::file_open::requested;
use crate::bpf::foreign;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{File, S_IFSOCK};

#[lsm(hook = "file_receive")]
pub fn file_receive(ctx: LsmContext) -> i32 {
    judge::hook(Hook::FILE_RECEIVE, |actor| try_file_receive(&ctx, actor))
}

#[inline(always)]
fn try_file_receive(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let file = File(ctx.arg(0));
    if file.is_path() {
        return Ok(Ruling::ALLOW);
    }
    if file.file_type() == S_IFSOCK {
        return foreign::judge_unix(actor, Hook::FILE_RECEIVE, file);
    }
    let rights = requested(file.mode(), 0, file.file_type());
    let rights = actor.scratch().forget(u64::from(rights.0)) as u32;
    actor.judge_path(Hook::FILE_RECEIVE, Rights(rights), file.place())
}
