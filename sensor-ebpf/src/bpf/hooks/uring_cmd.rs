//! `int uring_cmd(struct io_uring_cmd *ioucmd)`
//!
//! A device's own command by io_uring: an `ioctl` that does not pass by `file_ioctl`, on a ring that a
//! process had before it was tagged.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "uring_cmd")]
pub fn uring_cmd(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::URING_CMD, try_uring_cmd)
}

#[inline(always)]
fn try_uring_cmd(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::URING_CMD, Rights::KERNEL)
}
