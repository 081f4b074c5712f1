//! `int path_rename(const struct path *old_dir, struct dentry *old_dentry,`
//! `const struct path *new_dir, struct dentry *new_dentry, unsigned int flags)`
//!
//! Trading one name for another, or two names for each other (`RENAME_EXCHANGE`, which this hook
//! sees once, with its flag, since 5.19). Both names are on one mount (`fs/namei.c:do_renameat2`).

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::moves::Move;

use crate::bpf::judge::{self, Actor, Ruling};
use crate::bpf::vmlinux::{Opaque, S_IFDIR, file_type};

/// `RENAME_EXCHANGE` (`include/uapi/linux/fs.h`).
const RENAME_EXCHANGE: u32 = 1 << 1;
/// See [`RENAME_EXCHANGE`]: leaves a node at the old name, by which overlayfs hides what is below it. Two
/// names are given, as in an exchange.
const RENAME_WHITEOUT: u32 = 1 << 2;

#[lsm(hook = "path_rename")]
pub fn path_rename(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_RENAME, |actor| try_path_rename(&ctx, actor))
}

#[inline(always)]
fn try_path_rename(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    let (old, new): (*const Opaque, *const Opaque) = (ctx.arg(1), ctx.arg(3));
    let mnt = super::mount_of(ctx.arg(2));
    let exchange = ctx.arg::<u32>(4) & (RENAME_EXCHANGE | RENAME_WHITEOUT) != 0;
    let wanted = if exchange {
        Move::exchange(is_directory(old)?, is_directory(new)?)
    } else {
        Move::rename(is_directory(old)?, file_type(new as u64)? != 0)
    };
    super::judge_move(actor, Hook::PATH_RENAME, (old, new), mnt, wanted)
}

#[inline(always)]
fn is_directory(dentry: *const Opaque) -> Result<bool, Fault> {
    Ok(file_type(dentry as u64)? == S_IFDIR)
}
