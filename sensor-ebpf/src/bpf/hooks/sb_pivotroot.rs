//! `int sb_pivotroot(const struct path *old_path, const struct path *new_path)`
//!
//! `pivot_root(2)`, which gives every path of a mount namespace another name.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "sb_pivotroot")]
pub fn sb_pivotroot(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::SB_PIVOTROOT, try_sb_pivotroot)
}

#[inline(always)]
fn try_sb_pivotroot(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::SB_PIVOTROOT, Rights::KERNEL)
}
