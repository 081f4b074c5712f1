//! `int inode_init_security_anon(struct inode *inode, const struct qstr *name, const struct inode *context_inode)`
//!
//! Making an object of the kernel that a descriptor stands for. Refused are `io_uring` (see
//! `uring_allowed`, which is younger) and `userfaultfd`, by which a process stops the kernel in the middle of
//! copying from its memory, the staple of kernel exploits. Others give nothing.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{offset, read};

#[lsm(hook = "inode_init_security_anon")]
pub fn inode_init_security_anon(ctx: LsmContext) -> i32 {
    judge::hook(Hook::INODE_INIT_SECURITY_ANON, |actor| try_inode_init_security_anon(&ctx, actor))
}

#[inline(always)]
fn try_inode_init_security_anon(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    // The kernel's own text, with eight bytes at least; what is shorter cannot be one of the two.
    let name: u64 = read(ctx.arg::<u64>(1) + offset!(qstr_name))?;
    let begins = read::<u64>(name)?;
    if begins == u64::from_ne_bytes(*b"[io_urin") || begins == u64::from_ne_bytes(*b"[userfau") {
        return super::refuse(actor, Hook::INODE_INIT_SECURITY_ANON, Rights::KERNEL);
    }
    Ok(Ruling::ALLOW)
}
