//! `int capable(const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts)`
//!
//! Every use of a capability that the task has: root inside an agent is not root. What has no hook of
//! its own falls here (`open_tree`, `fsopen`, `setns`, `open_by_handle_at`, modules, `iopl`, the clock),
//! in every user namespace.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::capability::Capability;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::bpf::judge::{self, Actor, Ruling};

/// `CAP_OPT_NOAUDIT` (`include/linux/security.h`): the kernel goes on without it, and only asks.
const CAP_OPT_NOAUDIT: u32 = 2;

#[lsm(hook = "capable")]
pub fn capable(ctx: LsmContext) -> i32 {
    judge::hook(Hook::CAPABLE, |actor| try_capable(&ctx, actor))
}

#[inline(always)]
fn try_capable(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    // Under other credentials than its own a task does the kernel's errands: overlayfs acts on its
    // layers with those of whoever mounted it.
    if ctx.arg::<u64>(0) != actor.task.credentials() {
        return Ok(Ruling::ALLOW);
    }
    let capability = Capability(ctx.arg::<u32>(2) as u8);
    let subject = ObjectSubject::capability(capability);
    let ruling = actor.judge_object(Hook::CAPABLE, Rights::KERNEL, &subject)?;
    // Every path that root looks up asks for `dac_read_search` before it asks for `dac_override`.
    let probe =
        ctx.arg::<u32>(3) & CAP_OPT_NOAUDIT != 0 || capability == Capability::DAC_READ_SEARCH;
    if probe { Ok(ruling.silent()) } else { Ok(ruling) }
}
