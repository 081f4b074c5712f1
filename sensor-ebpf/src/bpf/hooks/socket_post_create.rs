//! `int socket_post_create(struct socket *sock, int family, int type, int protocol, int kern)`
//!
//! A socket that was made: it gets the mark of the agent that made it, by which the other hooks tell
//! it from one that came from outside. `accept` does not come here: sockets that a listening one
//! makes inherit its mark (`BPF_F_CLONE`), and those of unix sockets need none. A pair of sockets
//! (`socketpair`) comes here twice, which is why `socket_socketpair` has nothing left to judge.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::maker;
use crate::bpf::object::sock_of;

#[lsm(hook = "socket_post_create")]
pub fn socket_post_create(ctx: LsmContext) -> i32 {
    // The kernel's own sockets serve whoever runs just then.
    if ctx.arg::<i32>(4) != 0 {
        return 0;
    }
    judge::hook(Hook::SOCKET_POST_CREATE, |actor| try_socket_post_create(&ctx, actor))
}

#[inline(always)]
fn try_socket_post_create(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    maker::record(actor, sock_of(ctx.arg(0))?)?;
    Ok(Ruling::ALLOW)
}
