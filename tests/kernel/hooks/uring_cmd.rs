//! Commands of devices by io_uring.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::sys::EPERM;
use crate::support::sys::ring;

/// No policy can allow it.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - allow: [all]";

pub const CASE: Case = Case {
    hook: Hook::URING_CMD,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| ring::command(),
    allowed: |_| ring::nothing(false),
    event: |_| Expected::deny(Hook::URING_CMD, Rights::KERNEL),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
