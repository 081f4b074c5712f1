//! Objects of the kernel behind a descriptor.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::sys::EPERM;
use crate::support::sys::kernel::{event_counter, userfault};

/// No policy can allow it.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - allow: [all]";

pub const CASE: Case = Case {
    hook: Hook::INODE_INIT_SECURITY_ANON,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| userfault(),
    allowed: |_| event_counter(),
    event: |_| Expected::deny(Hook::INODE_INIT_SECURITY_ANON, Rights::KERNEL),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
