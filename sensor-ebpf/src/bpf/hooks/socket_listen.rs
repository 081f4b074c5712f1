//! `int socket_listen(struct socket *sock, int backlog)`
//!
//! Waiting for connections. A socket that was not bound gets a free port of every address here,
//! without passing `socket_bind` (`net/ipv4/inet_connection_sock.c:inet_csk_listen_start`); one that
//! came from outside was bound by somebody else.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::maker;
use crate::bpf::object::{AF_UNIX, Socket};
use crate::bpf::peer::{judge_kind, judge_local};

#[lsm(hook = "socket_listen")]
pub fn socket_listen(ctx: LsmContext) -> i32 {
    judge::hook(Hook::SOCKET_LISTEN, |actor| try_socket_listen(&ctx, actor))
}

#[inline(always)]
fn try_socket_listen(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let socket = Socket::of(ctx.arg(0))?;
    // A unix socket listens only where it was bound, which was judged there.
    if socket.family == AF_UNIX {
        return Ok(Ruling::ALLOW);
    }
    if !socket.is_addressed() {
        return judge_kind(actor, Hook::SOCKET_LISTEN, socket);
    }
    let at = socket.local();
    // Bound to port 0 it has another by now, so that only the bind can be judged by what it asked.
    if at.port != 0 && maker::is_own(actor, socket.sk) {
        return Ok(Ruling::ALLOW);
    }
    judge_local(actor, Hook::SOCKET_LISTEN, socket, &at)
}
