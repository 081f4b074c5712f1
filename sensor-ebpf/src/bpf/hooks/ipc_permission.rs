//! `int ipc_permission(struct kern_ipc_perm *ipcp, short flag)`
//!
//! Using a System V object: finding it by its key, attaching memory, sending, receiving, waiting. All
//! of these ask here (`ipc/util.c:ipcperms`), which is why `shm_shmat`, `shm_associate`,
//! `msg_queue_msgsnd`, `msg_queue_msgrcv`, `sem_semop` and their like have nothing left to judge.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::ipc;
use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "ipc_permission")]
pub fn ipc_permission(ctx: LsmContext) -> i32 {
    judge::hook(Hook::IPC_PERMISSION, |actor| try_ipc_permission(&ctx, actor))
}

#[inline(always)]
fn try_ipc_permission(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    ipc::judge(actor, Hook::IPC_PERMISSION, ctx.arg(0))
}
