//! Operations of an io_uring under kept credentials.

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
    hook: Hook::URING_OVERRIDE_CREDS,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| ring::nothing(true),
    allowed: |_| ring::nothing(false),
    event: |_| Expected::deny(Hook::URING_OVERRIDE_CREDS, Rights::KERNEL),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
