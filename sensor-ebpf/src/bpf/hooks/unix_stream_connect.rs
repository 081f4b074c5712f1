//! `int unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`
//!
//! Connecting to a unix stream or seqpacket socket, by the name that the *server* bound: what the
//! caller wrote may pass through links, `/proc/self/fd` or its own working directory. A server that
//! the agent itself made needs no rule: it reaches nobody else.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::unix;

#[lsm(hook = "unix_stream_connect")]
pub fn unix_stream_connect(ctx: LsmContext) -> i32 {
    judge::hook(Hook::UNIX_STREAM_CONNECT, |actor| try_unix_stream_connect(&ctx, actor))
}

#[inline(always)]
fn try_unix_stream_connect(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    unix::judge(actor, Hook::UNIX_STREAM_CONNECT, Rights::CONNECT, ctx.arg(1))
}
