//! Debug traces through aya-log, in builds with the feature `kernel-trace` only.

use aya_log_ebpf::debug;

/// Traces one judgement of a tagged task, allowed ones too. A function of its own, so that what
/// aya-log needs of the stack is not added to every hook's.
#[inline(never)]
pub fn judged(hook: u32, requested: u32, verdict: u32, errno: u32) -> u32 {
    debug!((), "hook {} requested {:x} verdict {} errno {}", hook, requested, verdict, errno);
    errno
}
