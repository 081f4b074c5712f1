//! `int locked_down(enum lockdown_reason what)`
//!
//! What the kernel itself takes for a way to change or read it (`security/lockdown`): ports, model-specific
//! registers, PCI configuration, `/dev/mem`, `kcore`, tracefs, kprobes, hibernation, ACPI tables. Agents
//! live on a locked-down kernel.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "locked_down")]
pub fn locked_down(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::LOCKED_DOWN, try_locked_down)
}

#[inline(always)]
fn try_locked_down(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::LOCKED_DOWN, Rights::KERNEL)
}
