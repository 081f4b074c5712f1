//! Taking mounts off.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::Case;
use crate::support::expect::Expected;
use crate::support::sys::EPERM;
use crate::support::sys::files::{touch, umount};
use crate::support::sys::mounts::{Tmpfs, in_own_mounts};
use crate::support::sys::process::in_child;

/// No policy can allow it yet.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - allow: [all]";

pub const CASE: Case = Case {
    hook: Hook::SB_UMOUNT,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| Box::new(Tmpfs::within(dir)),
    denied: |dir| in_child(|| in_own_mounts(|| umount(dir.join("m"), libc::MNT_DETACH))),
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| Expected::deny(Hook::SB_UMOUNT, Rights::KERNEL),
    by_child: true,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
