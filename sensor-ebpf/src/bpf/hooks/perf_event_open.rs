//! `int perf_event_open(struct perf_event_attr *attr, int type)`
//!
//! `perf_event_open(2)`, which samples other processes and the kernel, and by probes runs what it is told
//! in them. Without the first argument since 6.12, so none is read. `EACCES` is what the kernel answers
//! where `kernel.perf_event_paranoid` forbids it.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "perf_event_open")]
pub fn perf_event_open(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::PERF_EVENT_OPEN, try_perf_event_open)
}

#[inline(always)]
fn try_perf_event_open(actor: &Actor) -> Result<Ruling, Fault> {
    super::refuse(actor, Hook::PERF_EVENT_OPEN, Rights::KERNEL)
}
