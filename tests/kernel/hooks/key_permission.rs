//! Keys that others have left.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::sys::Errno;
use crate::support::sys::files::touch;
use crate::support::sys::kernel::user_keyring;

/// No policy can allow it.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - allow: [all]";

pub const CASE: Case = Case {
    hook: Hook::KEY_PERMISSION,
    // The kernel goes on to say that there is none.
    errno: Errno(libc::ENOKEY),
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| user_keyring(),
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| Expected::deny(Hook::KEY_PERMISSION, Rights::KERNEL),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
