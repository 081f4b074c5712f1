//! `int bprm_check_security(struct linux_binprm *bprm)`
//!
//! Running a program: once for the file named in `execve`, and once more for each interpreter that
//! a `#!` line names. Before the point of no return, so a refusal is an ordinary error.
//!
//! Whoever runs a program that a rule for tagging names is tagged here, and judged for this already.
//!
//! A set-id program needs no rule of its own: it runs with the tag of whoever runs it, and the rules hold
//! for it whatever user it becomes.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::tagging;
use crate::bpf::vmlinux::{self, File, Opaque, load, negative, offset};

#[lsm(hook = "bprm_check_security")]
pub fn bprm_check_security(ctx: LsmContext) -> i32 {
    let hook = Hook::BPRM_CHECK_SECURITY;
    if let Err(fault) = tagging::on_exec(vmlinux::current(), file_of(&ctx)) {
        // It was to be confined and cannot be.
        judge::count(hook, fault);
        return negative(hook.errno());
    }
    judge::hook(Hook::BPRM_CHECK_SECURITY, |actor| try_bprm_check_security(&ctx, actor))
}

#[inline(always)]
fn try_bprm_check_security(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    actor.judge_path(Hook::BPRM_CHECK_SECURITY, Rights::EXEC, file_of(ctx).place())
}

#[inline(always)]
fn file_of(ctx: &LsmContext) -> File {
    let bprm: *const Opaque = ctx.arg(0);
    // SAFETY: the `struct linux_binprm *` argument, and one of its pointer fields.
    File(unsafe { load(bprm, offset!(bprm_file)) })
}
