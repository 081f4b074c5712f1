//! `int socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`
//!
//! The same hook once more, for an agent that is to be cut off from what its processes opened before they
//! had their tag: what it sends through a connection of a unix socket that it did not make. A program of its
//! own, which is attached only while there is such an agent ([`Hook::ON_DEMAND`]): for all others a unix
//! connection is judged when it is made.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::object::{AF_UNIX, Socket};
use crate::bpf::unix;

#[lsm(hook = "socket_sendmsg")]
pub fn socket_sendmsg_unix(ctx: LsmContext) -> i32 {
    judge::hook(Hook::SOCKET_SENDMSG_UNIX, |actor| try_socket_sendmsg_unix(&ctx, actor))
}

#[inline(always)]
fn try_socket_sendmsg_unix(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let socket = Socket::of(ctx.arg(0))?;
    if socket.family != AF_UNIX || !actor.is_cut_off() {
        return Ok(Ruling::ALLOW);
    }
    unix::judge_connection(actor, Hook::SOCKET_SENDMSG_UNIX, socket.sk)
}
