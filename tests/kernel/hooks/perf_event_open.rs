//! Performance events.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::sys::EACCES;
use crate::support::sys::files::touch;
use crate::support::sys::kernel::count_own_clock;

/// No policy can allow it.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - allow: [all]";

pub const CASE: Case = Case {
    hook: Hook::PERF_EVENT_OPEN,
    errno: EACCES,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| count_own_clock(),
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| Expected::deny(Hook::PERF_EVENT_OPEN, Rights::KERNEL),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
