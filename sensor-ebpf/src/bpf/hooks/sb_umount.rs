//! `int sb_umount(struct vfsmount *mnt, int flags)`
//!
//! Taking a mount off, which uncovers what is below it.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "sb_umount")]
pub fn sb_umount(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::SB_UMOUNT, try_sb_umount)
}

#[inline(always)]
fn try_sb_umount(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::SB_UMOUNT, Rights::KERNEL)
}
