//! `int path_notify(const struct path *path, u64 mask, unsigned int obj_type)`
//!
//! Watching what happens to a file or directory: inotify and fanotify. It tells names as listing does,
//! and when something is used.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{Opaque, S_IFDIR, file_type, load, offset};

/// `FSNOTIFY_OBJ_TYPE_INODE` (`include/linux/fsnotify_backend.h`): one file. Others watch a whole mount
/// or file system.
const ONE_FILE: u32 = 0;

#[lsm(hook = "path_notify")]
pub fn path_notify(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_NOTIFY, |actor| try_path_notify(&ctx, actor))
}

#[inline(always)]
fn try_path_notify(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    if ctx.arg::<u32>(2) != ONE_FILE {
        return super::refuse(actor, Hook::PATH_NOTIFY, Rights::KERNEL);
    }
    let path: *const Opaque = ctx.arg(0);
    // SAFETY: the `const struct path *` argument, and one of its pointer fields.
    let dentry: u64 = unsafe { load(path, offset!(path_dentry)) };
    let right = if file_type(dentry)? == S_IFDIR { Rights::LIST } else { Rights::READ };
    let right = actor.scratch().forget(u64::from(right.0)) as u32;
    super::judge_at(actor, Hook::PATH_NOTIFY, Rights(right), path)
}
