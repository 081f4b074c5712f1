//! `int shm_shmctl(struct kern_ipc_perm *perm, int cmd)`
//!
//! Removing a System V shared memory segment, giving it to somebody else and the like, which its owner may without
//! passing `ipc_permission`. Whatever concerns no object (`IPC_INFO`) comes here without one.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::ipc;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::is_null;

#[lsm(hook = "shm_shmctl")]
pub fn shm_shmctl(ctx: LsmContext) -> i32 {
    judge::hook(Hook::SHM_SHMCTL, |actor| try_shm_shmctl(&ctx, actor))
}

#[inline(always)]
fn try_shm_shmctl(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    if is_null(ctx, 0) {
        return Ok(Ruling::ALLOW);
    }
    ipc::judge(actor, Hook::SHM_SHMCTL, ctx.arg(0))
}
