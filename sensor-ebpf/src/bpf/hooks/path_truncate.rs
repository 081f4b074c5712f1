//! `int path_truncate(const struct path *path)`
//!
//! `truncate(2)`, which opens nothing; on 6.1 `ftruncate` and `O_TRUNC` too, whose file was
//! judged for writing when it was opened.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "path_truncate")]
pub fn path_truncate(ctx: LsmContext) -> i32 {
    judge::hook(Hook::PATH_TRUNCATE, |actor| try_path_truncate(&ctx, actor))
}

#[inline(always)]
fn try_path_truncate(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_at(actor, Hook::PATH_TRUNCATE, Rights::WRITE, ctx.arg(0))
}
