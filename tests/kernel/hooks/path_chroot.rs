//! Another root for a process.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::sys::EPERM;
use crate::support::sys::files::{chroot, touch};
use crate::support::sys::process::in_child;

/// No policy can allow it yet.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - allow: [all]";

pub const CASE: Case = Case {
    hook: Hook::PATH_CHROOT,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |dir| in_child(|| chroot(dir)),
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| Expected::deny(Hook::PATH_CHROOT, Rights::KERNEL),
    by_child: true,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
