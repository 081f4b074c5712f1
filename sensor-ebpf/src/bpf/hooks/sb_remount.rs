//! `int sb_remount(struct super_block *sb, void *mnt_opts)`
//!
//! Changing the options of a file system that is mounted.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "sb_remount")]
pub fn sb_remount(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::SB_REMOUNT, try_sb_remount)
}

#[inline(always)]
fn try_sb_remount(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::SB_REMOUNT, Rights::KERNEL)
}
