//! `int socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`
//!
//! Opening a connection, or fixing a datagram socket's peer. Unix sockets are judged by the server
//! that is found, in `unix_stream_connect` and `unix_may_send`; the string that the caller gave is
//! no identity.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::object::{AF_UNIX, AF_UNSPEC, Socket};
use crate::bpf::peer::{judge_kind, judge_peer};
use crate::bpf::vmlinux::read;

#[lsm(hook = "socket_connect")]
pub fn socket_connect(ctx: LsmContext) -> i32 {
    judge::hook(Hook::SOCKET_CONNECT, |actor| try_socket_connect(&ctx, actor))
}

#[inline(always)]
fn try_socket_connect(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let socket = Socket::of(ctx.arg(0))?;
    if socket.family == AF_UNIX {
        return Ok(Ruling::ALLOW);
    }
    if !socket.is_addressed() {
        return judge_kind(actor, Hook::SOCKET_CONNECT, socket);
    }
    let from = ctx.arg::<u64>(1);
    if read::<u16>(from)? == AF_UNSPEC {
        // Takes a connection back, on every family.
        return Ok(Ruling::ALLOW);
    }
    let to = socket.address(from, ctx.arg::<u32>(2))?;
    if !to.named {
        return Ok(Ruling::ALLOW);
    }
    judge_peer(actor, Hook::SOCKET_CONNECT, Rights::CONNECT, socket, &to)
}
