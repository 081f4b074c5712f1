//! `int path_chroot(const struct path *path)`
//!
//! `chroot(2)`. Paths are judged from the root of the mount namespace, so it gains nothing; but an
//! agent that tries is up to something, and programs that run set-id inside can be deceived.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "path_chroot")]
pub fn path_chroot(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_CHROOT, try_path_chroot)
}

#[inline(always)]
fn try_path_chroot(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::PATH_CHROOT, Rights::KERNEL)
}
