//! `int kernel_read_file(struct file *file, enum kernel_read_file_id id, bool contents)`
//!
//! The kernel takes a file for its own: a module (`finit_module(2)`), another kernel (`kexec_file_load(2)`),
//! a policy or certificate. Either of the first two is the end of every fence, so no policy can allow them.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

/// `READING_FIRMWARE` (`include/linux/kernel_read_file.h`).
const READING_FIRMWARE: u32 = 1;

#[lsm(hook = "kernel_read_file")]
pub fn kernel_read_file(ctx: LsmContext) -> i32 {
    // Firmware is loaded for whoever opens a device first, by a name that the driver chooses.
    if ctx.arg::<u32>(1) == READING_FIRMWARE {
        return 0;
    }
    judge::hook(Hook::KERNEL_READ_FILE, try_kernel_read_file)
}

#[inline(always)]
fn try_kernel_read_file(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::KERNEL_READ_FILE, Rights::KERNEL)
}
