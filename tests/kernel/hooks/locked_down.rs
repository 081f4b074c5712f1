//! Doors to the machine below the kernel.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::sys::EPERM;
use crate::support::sys::files::touch;
use crate::support::sys::kernel::ioperm;
use crate::support::sys::process::in_child;

/// No policy can allow it.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - allow: [all]";

pub const CASE: Case = Case {
    hook: Hook::LOCKED_DOWN,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| in_child(ioperm),
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| Expected::deny(Hook::LOCKED_DOWN, Rights::KERNEL),
    by_child: true,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
