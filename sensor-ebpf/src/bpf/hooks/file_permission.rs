//! `int file_permission(struct file *file, int mask)`
//!
//! Every read, write and listing through a descriptor, by anybody. Attached only while an agent is there
//! that is to be cut off from what its processes opened before they had their tag ([`Hook::ON_DEMAND`]):
//! what was opened since was judged then. Before 6.5 it is also the only hook that sees what `sendfile` and
//! `splice` send through a socket (`net/socket.c:sock_sendpage`); those that are none of unix are judged in
//! `file_write_inet`.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::foreign;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::kept;
use crate::bpf::vmlinux::{File, S_IFSOCK};

/// `MAY_WRITE` (`include/linux/fs.h`), without which it is a read.
pub const MAY_WRITE: u32 = 2;

#[lsm(hook = "file_permission")]
pub fn file_permission(ctx: LsmContext) -> i32 {
    judge::hook(Hook::FILE_PERMISSION, |actor| try_file_permission(&ctx, actor))
}

#[inline(always)]
fn try_file_permission(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let write = ctx.arg::<u32>(1) & MAY_WRITE != 0;
    let file = File(ctx.arg(0));
    if write && file.file_type() == S_IFSOCK {
        return if actor.is_cut_off() {
            foreign::judge_unix(actor, Hook::FILE_PERMISSION, file)
        } else {
            Ok(Ruling::ALLOW)
        };
    }
    let right = if write { Rights::WRITE } else { Rights::READ };
    kept::judge(actor, Hook::FILE_PERMISSION, file, right)
}
