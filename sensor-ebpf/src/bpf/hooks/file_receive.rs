//! `int file_receive(struct file *file)`
//!
//! A descriptor from another process: `SCM_RIGHTS`, `pidfd_getfd`, a seccomp supervisor's `ADDFD`. It is
//! judged as if it were opened now, for whoever opened it may not have had a tag. With `SCM_RIGHTS` the
//! kernel drops what is refused and says so by `MSG_CTRUNC`. Connections of unix sockets are judged by who is
//! at the other end, which cannot change any more; `socket_sendmsg` judges other families whenever they send.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use super::file_open::requested;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::unix;
use crate::bpf::vmlinux::{File, S_IFSOCK};

/// `FMODE_PATH` (`include/linux/fs.h`): opened with `O_PATH`, which gives no access.
const FMODE_PATH: u32 = 1 << 14;

#[lsm(hook = "file_receive")]
pub fn file_receive(ctx: LsmContext) -> i32 {
    judge::hook(Hook::FILE_RECEIVE, |actor| try_file_receive(&ctx, actor))
}

#[inline(always)]
fn try_file_receive(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let file = File(ctx.arg(0));
    if file.mode() & FMODE_PATH != 0 {
        return Ok(Ruling::ALLOW);
    }
    if file.file_type() == S_IFSOCK {
        return unix::judge_handed(actor, Hook::FILE_RECEIVE, file);
    }
    let rights = requested(file.mode(), 0, file.file_type());
    let rights = actor.scratch().forget(u64::from(rights.0)) as u32;
    actor.judge_path(Hook::FILE_RECEIVE, Rights(rights), file.place())
}
