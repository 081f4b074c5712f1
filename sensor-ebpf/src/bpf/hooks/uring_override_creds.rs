//! `int uring_override_creds(const struct cred *new)`
//!
//! An io_uring operation under credentials that were kept earlier. A ring that a process had before it was
//! tagged may hold those of root.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "uring_override_creds")]
pub fn uring_override_creds(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::URING_OVERRIDE_CREDS, try_uring_override_creds)
}

#[inline(always)]
fn try_uring_override_creds(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::URING_OVERRIDE_CREDS, Rights::KERNEL)
}
