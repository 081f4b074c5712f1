//! `int userns_create(const struct cred *cred)`
//!
//! Making a user namespace, in which every user has every capability: the way to mounts and raw
//! sockets for whoever may not have them.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "userns_create")]
pub fn userns_create(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::USERNS_CREATE, try_userns_create)
}

#[inline(always)]
fn try_userns_create(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::USERNS_CREATE, Rights::KERNEL)
}
