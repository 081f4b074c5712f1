//! `int msg_queue_msgctl(struct kern_ipc_perm *perm, int cmd)`
//!
//! Removing a System V message queue, giving it to somebody else and the like, which its owner may without
//! passing `ipc_permission`. Whatever concerns no object (`IPC_INFO`) comes here without one.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::ipc;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::is_null;

#[lsm(hook = "msg_queue_msgctl")]
pub fn msg_queue_msgctl(ctx: LsmContext) -> i32 {
    judge::hook(Hook::MSG_QUEUE_MSGCTL, |actor| try_msg_queue_msgctl(&ctx, actor))
}

#[inline(always)]
fn try_msg_queue_msgctl(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    if is_null(ctx, 0) {
        return Ok(Ruling::ALLOW);
    }
    ipc::judge(actor, Hook::MSG_QUEUE_MSGCTL, ctx.arg(0))
}
