//! `int bpf(int cmd, union bpf_attr *attr, unsigned int size)`
//!
//! The system call through which tags, policies and programs could be changed or taken off. Denied
//! to every agent, root or not.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling, Subject};

#[lsm(hook = "bpf")]
pub fn bpf(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::BPF, try_bpf)
}

#[inline(always)]
fn try_bpf(_: &Actor) -> Result<Ruling, Fault> {
    Ok(Ruling::refuse(Hook::BPF, Rights::KERNEL, Subject::NONE))
}
