//! `int socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`
//!
//! Sending to a peer that is named in the call: datagrams, and TCP with `MSG_FASTOPEN`, which
//! connects without passing `socket_connect`. A socket whose peer is fixed was judged when it was
//! connected. Unix datagrams are judged in `unix_may_send`.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ObjectSubject, TRANSPORT_TCP, destination};

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::object::{AF_NETLINK, AF_UNIX, Socket};
use crate::bpf::vmlinux::{Opaque, load, offset};

#[lsm(hook = "socket_sendmsg")]
pub fn socket_sendmsg(ctx: LsmContext) -> i32 {
    let message: *const Opaque = ctx.arg(1);
    // SAFETY: the `struct msghdr *` argument, and one of its pointer fields.
    if unsafe { load::<u64>(message, offset!(msghdr_name)) } == 0 {
        return 0;
    }
    judge::hook(Hook::SOCKET_SENDMSG, |actor| try_socket_sendmsg(&ctx, actor))
}

#[inline(always)]
fn try_socket_sendmsg(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let socket = Socket::of(ctx.arg::<u64>(0))?;
    if socket.family == AF_UNIX || socket.family == AF_NETLINK {
        return Ok(Ruling::ALLOW);
    }
    if !socket.is_inet() {
        return Err(Fault::UNKNOWN_FAMILY);
    }
    let message: *const Opaque = ctx.arg(1);
    // SAFETY: the `struct msghdr *` argument, and two of its fields.
    let (name, len): (u64, u32) =
        unsafe { (load(message, offset!(msghdr_name)), load(message, offset!(msghdr_namelen))) };
    let to = socket.address(name, len)?;
    if !to.named {
        return Ok(Ruling::ALLOW);
    }
    let right = if socket.transport == TRANSPORT_TCP { Rights::CONNECT } else { Rights::SEND };
    let subject = ObjectSubject::inet(socket.transport, destination(to.address), to.port);
    actor.judge_object(Hook::SOCKET_SENDMSG, right, &subject)
}
