//! `int socket_accept(struct socket *sock, struct socket *newsock)`
//!
//! Taking a connection. Who connects is not the agent's doing, and whoever listens was allowed to;
//! only a listening socket that came from outside is judged, by its address.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::maker;
use crate::bpf::object::{AF_UNIX, Socket};
use crate::bpf::peer::{judge_kind, judge_local};

#[lsm(hook = "socket_accept")]
pub fn socket_accept(ctx: LsmContext) -> i32 {
    judge::hook(Hook::SOCKET_ACCEPT, |actor| try_socket_accept(&ctx, actor))
}

#[inline(always)]
fn try_socket_accept(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let socket = Socket::of(ctx.arg(0))?;
    if socket.family == AF_UNIX || maker::is_own(actor, socket.sk) {
        return Ok(Ruling::ALLOW);
    }
    if !socket.is_addressed() {
        return judge_kind(actor, Hook::SOCKET_ACCEPT, socket);
    }
    judge_local(actor, Hook::SOCKET_ACCEPT, socket, &socket.local())
}
