//! `void sem_free_security(struct kern_ipc_perm *perm)`
//!
//! A set of System V semaphores that is gone, which makes room for another; no task is behind it. See [`crate::bpf::ipc`].

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;

use crate::bpf::ipc;

#[lsm(hook = "sem_free_security")]
pub fn sem_free_security(ctx: LsmContext) -> i32 {
    ipc::forget(ctx.arg(0));
    0
}
