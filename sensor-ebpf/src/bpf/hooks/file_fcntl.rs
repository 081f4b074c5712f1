//! `int file_fcntl(struct file *file, unsigned int cmd, unsigned long arg)`
//!
//! `fcntl(2)`, of which one thing matters: `F_SETOWN`, after which the kernel sends a signal of the caller's
//! choice to a process of the caller's choice, on a pipe's or a terminal's account and past `task_kill`. A
//! process may have it sent to itself. Whom a number or a group stands for later is not known now, so
//! anything else is refused whatever the policy says of signals.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::act::Act;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::bpf::judge::{self, Actor, Ruling, place};

/// `F_SETOWN` (`fcntl(2)`): a pid, or a process group as a negative number.
const F_SETOWN: u32 = 8;
/// `F_SETOWN_EX`: the same by a structure in the caller's memory, which may change after it was read.
const F_SETOWN_EX: u32 = 15;

#[lsm(hook = "file_fcntl")]
pub fn file_fcntl(ctx: LsmContext) -> i32 {
    let command = ctx.arg::<u32>(1);
    if command != F_SETOWN && command != F_SETOWN_EX {
        return 0;
    }
    judge::hook(Hook::FILE_FCNTL, |actor| try_file_fcntl(&ctx, actor))
}

#[inline(always)]
fn try_file_fcntl(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let mut pid = 0;
    if ctx.arg::<u32>(1) == F_SETOWN {
        // The kernel takes it for an `int`.
        let owner = ctx.arg::<i32>(2);
        if owner == 0 || owner == actor.task.tgid_in_namespace()? {
            return Ok(Ruling::ALLOW);
        }
        pid = owner.unsigned_abs();
    }
    let subject = place(actor.scratch(), &ObjectSubject::process(Act::SIGNAL, pid))?;
    let ruling = Ruling::refuse(Hook::FILE_FCNTL, Rights::PROCESS, subject);
    Ok(ruling.refused(actor.table()?))
}
