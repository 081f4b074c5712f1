//! `int file_permission(struct file *file, int mask)`
//!
//! The same hook once more, for what an agent that is to be cut off writes to sockets that it did not make
//! and that are none of unix: `socket_sendmsg` judges that as well, but before 6.5 not what `sendfile` and
//! `splice` write. Attached only while there is such an agent ([`Hook::ON_DEMAND`]).

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use super::file_permission::MAY_WRITE;
use crate::bpf::foreign;
use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{File, S_IFSOCK};

#[lsm(hook = "file_permission")]
pub fn file_write_inet(ctx: LsmContext) -> i32 {
    judge::hook(Hook::FILE_WRITE_INET, |actor| try_file_write_inet(&ctx, actor))
}

#[inline(always)]
fn try_file_write_inet(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let file = File(ctx.arg(0));
    let writes = ctx.arg::<u32>(1) & MAY_WRITE != 0;
    if !writes || !actor.is_cut_off() || file.file_type() != S_IFSOCK {
        return Ok(Ruling::ALLOW);
    }
    foreign::judge_inet(actor, Hook::FILE_WRITE_INET, file)
}
