//! `int file_receive(struct file *file)`
//!
//! The same hook once more, for sockets that another process hands over and that are none of unix; see
//! [`crate::bpf::foreign`]. What is sent through them is judged by `socket_sendmsg` too, but before 6.5 not
//! what `sendfile` sends, and what they receive is judged by nobody.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::foreign;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{File, S_IFSOCK};

#[lsm(hook = "file_receive")]
pub fn file_receive_inet(ctx: LsmContext) -> i32 {
    judge::hook(Hook::FILE_RECEIVE_INET, |actor| try_file_receive_inet(&ctx, actor))
}

#[inline(always)]
fn try_file_receive_inet(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let file = File(ctx.arg(0));
    // One that was opened by its name (`O_PATH`) is no socket.
    if file.file_type() != S_IFSOCK || file.is_path() {
        return Ok(Ruling::ALLOW);
    }
    foreign::judge_inet(actor, Hook::FILE_RECEIVE_INET, file)
}
