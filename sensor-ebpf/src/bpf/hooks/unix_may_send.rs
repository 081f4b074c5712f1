//! `int unix_may_send(struct socket *sock, struct socket *other)`
//!
//! Sending to a unix datagram socket, or fixing it as the peer; by the name that the receiver
//! bound. A receiver that the agent itself made needs no rule.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::object::sock_of;
use crate::bpf::unix;

#[lsm(hook = "unix_may_send")]
pub fn unix_may_send(ctx: LsmContext) -> i32 {
    judge::hook(Hook::UNIX_MAY_SEND, |actor| try_unix_may_send(&ctx, actor))
}

#[inline(always)]
fn try_unix_may_send(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    unix::judge(actor, Hook::UNIX_MAY_SEND, Rights::SEND, sock_of(ctx.arg(1))?)
}
