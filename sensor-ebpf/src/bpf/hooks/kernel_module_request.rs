//! `int kernel_module_request(char *kmod_name)`
//!
//! The kernel wants a module for what the task does: a protocol, a file system, a cipher. `modprobe` would
//! run outside the fence and bring code into the kernel because an agent asked, so the kernel goes on as
//! if it had no such module: a socket's family or protocol is not supported, a program's format unknown.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{KIND_MODULE, MODULE_MAX, ObjectSubject};

use crate::bpf::judge::{self, Actor, Ruling, place};
use crate::bpf::vmlinux::masked;

#[lsm(hook = "kernel_module_request")]
pub fn kernel_module_request(ctx: LsmContext) -> i32 {
    judge::hook(Hook::KERNEL_MODULE_REQUEST, |actor| try_kernel_module_request(&ctx, actor))
}

#[inline(always)]
fn try_kernel_module_request(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let mut name = ObjectSubject::new();
    name.bytes[0] = KIND_MODULE;
    // SAFETY: room for `MODULE_MAX` bytes behind the first; the helper checks the source.
    let copied = unsafe {
        let to = name.bytes.as_mut_ptr().add(1);
        bpf_probe_read_kernel_str(to.cast(), MODULE_MAX as u32, ctx.arg::<u64>(0) as *const _)
    };
    // With the NUL, which stands where the kind is counted.
    name.len = if copied > 0 { masked::<127>(copied as u64) as u32 } else { 1 };
    let subject = place(actor.scratch(), &name)?;
    let ruling = Ruling::refuse(Hook::KERNEL_MODULE_REQUEST, Rights::KERNEL, subject);
    Ok(ruling.refused(actor.table()?))
}
