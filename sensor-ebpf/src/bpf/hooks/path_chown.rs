//! `int path_chown(const struct path *path, kuid_t uid, kgid_t gid)`
//!
//! Changing a file's owner or group: `chown`, `lchown`, `fchown`, `fchownat`. The kernel itself takes
//! set-id bits away from what gets another owner.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "path_chown")]
pub fn path_chown(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_CHOWN, |actor| try_path_chown(&ctx, actor))
}

#[inline(always)]
fn try_path_chown(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_at(actor, Hook::PATH_CHOWN, Rights::ATTR, ctx.arg(0))
}
