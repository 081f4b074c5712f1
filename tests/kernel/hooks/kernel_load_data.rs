//! Modules from memory.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::sys::EPERM;
use crate::support::sys::files::touch;
use crate::support::sys::kernel::init_module;

/// No policy can allow it.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - allow: [all]";

pub const CASE: Case = Case {
    hook: Hook::KERNEL_LOAD_DATA,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| init_module(),
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| Expected::deny(Hook::KERNEL_LOAD_DATA, Rights::KERNEL),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
