//! `int move_mount(const struct path *from_path, const struct path *to_path)`
//!
//! `move_mount(2)`, the new way to attach a mount. Names are what rules speak of, and a mount gives a tree another name.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "move_mount")]
pub fn move_mount(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::MOVE_MOUNT, try_move_mount)
}

#[inline(always)]
fn try_move_mount(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::MOVE_MOUNT, Rights::KERNEL)
}
