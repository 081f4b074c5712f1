//! `int syslog(int type)`
//!
//! The kernel's log (`syslog(2)`, opening `/dev/kmsg` or `/proc/kmsg`), in which drivers and other processes
//! leave addresses and names. Judged as a use of `syslog`, which the kernel itself asks for only where
//! `kernel.dmesg_restrict` is set.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::capability::Capability;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "syslog")]
pub fn syslog(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::SYSLOG, try_syslog)
}

#[inline(always)]
fn try_syslog(actor: &Actor) -> Result<Ruling, Fault> {
    let subject = ObjectSubject::capability(Capability::SYSLOG);
    actor.judge_object(Hook::SYSLOG, Rights::KERNEL, &subject)
}
