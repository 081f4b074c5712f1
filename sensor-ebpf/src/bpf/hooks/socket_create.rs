//! `int socket_create(int family, int type, int protocol, int kern)`
//!
//! Making a socket. Families, types and protocols that nothing allows are refused, as on a kernel
//! that was built without them, so that libraries fall back.
//!
//! Hooks on sockets that are not here, and why none is needed:
//! - `socket_socketpair`: both ends were made here, and reach each other only.
//! - `socket_recvmsg`: what comes in was sent by a peer that was judged, or by whoever chose to.
//! - `netlink_send`: kinds of netlink are allowed one by one; what changes anything through `route`
//!   takes `CAP_NET_ADMIN`, as does sending to another process (`net/netlink/af_netlink.c`).
//! - `sctp_*`, `mptcp_add_subflow`: no rule over addresses names their peers; whoever is allowed the
//!   kind is allowed all that its peers bring about.
//! - `tun_dev_*`: the device is `/dev/net/tun`, which `file_open` judges.
//! - `xfrm_*`: by netlink, or by socket options that are refused.
//! - `unix_find` (7.x): comes before the server is known to listen, and has the name that the caller
//!   gave.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{EAFNOSUPPORT, Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::object::{AF_INET, AF_INET6};

#[lsm(hook = "socket_create")]
pub fn socket_create(ctx: LsmContext) -> i32 {
    // The kernel's own sockets serve whoever runs just then.
    if ctx.arg::<i32>(3) != 0 {
        return 0;
    }
    judge::hook(Hook::SOCKET_CREATE, |actor| try_socket_create(&ctx, actor))
}

#[inline(always)]
fn try_socket_create(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let (family, kind, protocol) = (ctx.arg::<i32>(0), ctx.arg::<i32>(1), ctx.arg::<i32>(2));
    let (Ok(family), Ok(kind), Ok(protocol)) =
        (u16::try_from(family), u8::try_from(kind), u16::try_from(protocol))
    else {
        return Err(Fault::UNKNOWN_FAMILY);
    };
    let subject = ObjectSubject::family(family, kind, protocol);
    let ruling = actor.judge_object(Hook::SOCKET_CREATE, Rights::SOCKET, &subject)?;
    if family == AF_INET || family == AF_INET6 {
        Ok(ruling)
    } else {
        Ok(Ruling { errno: EAFNOSUPPORT, ..ruling })
    }
}
