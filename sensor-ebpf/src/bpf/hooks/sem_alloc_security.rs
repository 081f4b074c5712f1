//! `int sem_alloc_security(struct kern_ipc_perm *perm)`
//!
//! A set of System V semaphores that is being made (`semget`): it is remembered as the agent's own. Whatever lay at its
//! address before is forgotten, whoever makes it; see [`crate::bpf::ipc`].

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::ipc;
use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "sem_alloc_security")]
pub fn sem_alloc_security(ctx: LsmContext) -> i32 {
    ipc::forget(ctx.arg(0));
    judge::hook(Hook::SEM_ALLOC_SECURITY, |actor| try_sem_alloc_security(&ctx, actor))
}

#[inline(always)]
fn try_sem_alloc_security(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    ipc::record(actor, ctx.arg(0))?;
    Ok(Ruling::ALLOW)
}
