//! Sockets that the agent did not make, where they come as files: handed over, or open from before the tag.
//! Each is judged by what it is connected to now, as if the agent connected it. What a socket of the network
//! is connected to afterwards is judged when it is used, by `socket_connect`, `socket_sendmsg` and the others;
//! before 6.5 they see everything but `sendfile` and `splice` (`net/socket.c:sock_sendpage`).

use aya_ebpf::helpers::generated::bpf_sock_from_file;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use super::judge::{Actor, Ruling};
use super::maker;
use super::object::{AF_UNIX, Socket};
use super::peer::{judge_kind, judge_peer};
use super::unix;
use super::vmlinux::{File, Opaque};

/// Judges the unix socket behind a file, and no other.
#[inline(always)]
pub fn judge_unix(actor: &Actor, hook: Hook, file: File) -> Result<Ruling, Fault> {
    let socket = Socket::of(behind(file)?)?;
    if socket.family != AF_UNIX {
        return Ok(Ruling::ALLOW);
    }
    unix::judge_connection(actor, hook, socket.sk)
}

/// Judges the socket behind a file if it is none of unix. By a program of its own: both judgements would not
/// fit on one stack.
#[inline(always)]
pub fn judge_inet(actor: &Actor, hook: Hook, file: File) -> Result<Ruling, Fault> {
    let socket = Socket::of(behind(file)?)?;
    if socket.family == AF_UNIX {
        return Ok(Ruling::ALLOW);
    }
    if !socket.is_addressed() {
        return judge_kind(actor, hook, socket);
    }
    if !socket.is_connected() || maker::is_own(actor, socket.sk) {
        return Ok(Ruling::ALLOW);
    }
    judge_peer(actor, hook, Rights::CONNECT, socket, &socket.peer())
}

/// The `struct socket` behind a file.
#[inline(always)]
fn behind(file: File) -> Result<*const Opaque, Fault> {
    // SAFETY: a hook's `struct file *` argument; the helper answers null for what is no socket.
    let socket: *const Opaque = unsafe { bpf_sock_from_file(file.0.cast_mut().cast()) }.cast();
    if socket.is_null() { Err(Fault::UNREADABLE) } else { Ok(socket) }
}
