//! `int sb_mount(const char *dev_name, const struct path *path, const char *type, unsigned long flags, void *data)`
//!
//! `mount(2)`, bind mounts among them. Names are what rules speak of, and a mount gives a tree another name.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "sb_mount")]
pub fn sb_mount(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::SB_MOUNT, try_sb_mount)
}

#[inline(always)]
fn try_sb_mount(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::SB_MOUNT, Rights::KERNEL)
}
