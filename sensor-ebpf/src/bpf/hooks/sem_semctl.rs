//! `int sem_semctl(struct kern_ipc_perm *perm, int cmd)`
//!
//! Removing a set of System V semaphores, giving it to somebody else and the like, which its owner may without
//! passing `ipc_permission`. Whatever concerns no object (`IPC_INFO`) comes here without one.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::ipc;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::is_null;

#[lsm(hook = "sem_semctl")]
pub fn sem_semctl(ctx: LsmContext) -> i32 {
    judge::hook(Hook::SEM_SEMCTL, |actor| try_sem_semctl(&ctx, actor))
}

#[inline(always)]
fn try_sem_semctl(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    if is_null(ctx, 0) {
        return Ok(Ruling::ALLOW);
    }
    ipc::judge(actor, Hook::SEM_SEMCTL, ctx.arg(0))
}
