//! `int socket_bind(struct socket *sock, struct sockaddr *address, int addrlen)`
//!
//! Taking a local address. A unix socket that is bound to a path is a file being made, which
//! `path_mknod` judges.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::object::{AF_UNIX, Socket, abstract_name};
use crate::bpf::peer::{judge_kind, judge_local};
use crate::bpf::vmlinux::read;

/// Family and first byte of the name: a shorter address asks the kernel to pick an unused name.
const ABSTRACT_MIN: u32 = 3;

#[lsm(hook = "socket_bind")]
pub fn socket_bind(ctx: LsmContext) -> i32 {
    judge::hook(Hook::SOCKET_BIND, |actor| try_socket_bind(&ctx, actor))
}

#[inline(always)]
fn try_socket_bind(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let socket = Socket::of(ctx.arg(0))?;
    let (from, len) = (ctx.arg::<u64>(1), ctx.arg::<u32>(2));
    if socket.family == AF_UNIX {
        let first: [u8; 3] = read(from)?;
        if len < ABSTRACT_MIN || first[2] != 0 {
            return Ok(Ruling::ALLOW);
        }
        let mut subject = ObjectSubject::new();
        abstract_name(&mut subject, from, len)?;
        return actor.judge_object(Hook::SOCKET_BIND, Rights::BIND, &subject);
    }
    if !socket.is_addressed() {
        return judge_kind(actor, Hook::SOCKET_BIND, socket);
    }
    let at = socket.address(from, len)?;
    if !at.named {
        // `AF_UNSPEC` on an IPv6 socket, which the kernel refuses.
        return Err(Fault::BAD_ADDRESS);
    }
    judge_local(actor, Hook::SOCKET_BIND, socket, &at)
}
