//! Setting extended attributes.

use std::path::Path;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::EPERM;
use crate::support::sys::attrs::{fsetxattr, setxattr};
use crate::support::sys::files::open;
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['${dir}/**']
  - allow: [attr]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::INODE_SETXATTR,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        nothing()
    },
    denied: |dir| setxattr(dir.join("yours"), "user.a", b"1"),
    allowed: |dir| setxattr(dir.join("mine"), "user.a", b"1"),
    event: |dir| denied(Rights::ATTR, &dir.join("yours")),
    by_child: false,
};

fn denied(right: Rights, path: &Path) -> Expected {
    Expected::deny(Hook::INODE_SETXATTR, right).path(path)
}

/// File capabilities as the attribute holds them (`struct vfs_cap_data`, version 2): one to change
/// users, permitted and effective.
const SETUID: &[u8] = &[1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn what_the_kernel_goes_by_cannot_be_forged() {
    // An agent that has the capabilities for it may not either.
    let spec = format!("{POLICY}\ncapabilities:\n  - allow: [sys_admin, setfcap]");
    let place = Place::on_disk("setxattr_kernel");
    let (mine, yours) = (place.file("mine"), place.file("yours"));
    let capability = denied(Rights::KERNEL, &mine).cause(Fault::SET_ID);
    Trial::new(&place, &spec)
        .refused(
            "through a descriptor for reading",
            || fsetxattr(&open(&yours, libc::O_RDONLY)?, "user.b", b"1"),
            EPERM,
            denied(Rights::ATTR, &yours),
        )
        .refused(
            "file capabilities",
            || setxattr(&mine, "security.capability", SETUID),
            EPERM,
            capability,
        )
        .refused(
            "a mark of overlayfs",
            || setxattr(&mine, "trusted.overlay.redirect", b"/x"),
            EPERM,
            denied(Rights::KERNEL, &mine),
        )
        .allowed("one's own", || setxattr(&mine, "user.b", b"1"))
        .run();
}
