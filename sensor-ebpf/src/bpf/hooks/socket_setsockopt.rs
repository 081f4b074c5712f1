//! `int socket_setsockopt(struct socket *sock, int level, int optname)`
//!
//! Options of a socket. Those that lead traffic elsewhere than to the address that was judged, or
//! put code into the kernel, are refused whatever the policy; see [`sensor_ebpf::sockopt`].

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::sockopt;
use sensor_ebpf::subject::ObjectSubject;

use crate::bpf::judge::{self, Actor, Ruling, place};

#[lsm(hook = "socket_setsockopt")]
pub fn socket_setsockopt(ctx: LsmContext) -> i32 {
    judge::hook(Hook::SOCKET_SETSOCKOPT, |actor| try_socket_setsockopt(&ctx, actor))
}

#[inline(always)]
fn try_socket_setsockopt(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let (level, number) = (ctx.arg::<u32>(1), ctx.arg::<u32>(2));
    if !sockopt::refused(level, number) {
        return Ok(Ruling::ALLOW);
    }
    let table = actor.table()?;
    let subject = place(actor.scratch(), &ObjectSubject::option(level, number))?;
    Ok(Ruling::refuse(Hook::SOCKET_SETSOCKOPT, Rights::KERNEL, subject).refused(table))
}
