//! `int kernel_load_data(enum kernel_load_data_id id, bool contents)`
//!
//! The kernel takes a caller's memory for its own: a module (`init_module(2)`), another kernel
//! (`kexec_load(2)`). As in `kernel_read_file`.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

/// `LOADING_FIRMWARE` (`include/linux/security.h`).
const LOADING_FIRMWARE: u32 = 1;

#[lsm(hook = "kernel_load_data")]
pub fn kernel_load_data(ctx: LsmContext) -> i32 {
    // Firmware is loaded for whoever opens a device first.
    if ctx.arg::<u32>(0) == LOADING_FIRMWARE {
        return 0;
    }
    judge::hook(Hook::KERNEL_LOAD_DATA, try_kernel_load_data)
}

#[inline(always)]
fn try_kernel_load_data(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::KERNEL_LOAD_DATA, Rights::KERNEL)
}
