//! `int uring_allowed(void)`
//!
//! Making an io_uring. Its operations are judged as all others, but what it holds outlives the judgement:
//! descriptors pass between rings without a hook, and credentials can be kept. Before 6.15 the same is
//! refused by `inode_init_security_anon`.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "uring_allowed")]
pub fn uring_allowed(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::URING_ALLOWED, try_uring_allowed)
}

#[inline(always)]
fn try_uring_allowed(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::URING_ALLOWED, Rights::KERNEL)
}
