//! Removing extended attributes.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::EPERM;
use crate::support::sys::attrs::{fremovexattr, removexattr, setxattr};
use crate::support::sys::files::open;
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['${dir}/**']
  - allow: [attr]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::INODE_REMOVEXATTR,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        for name in ["yours", "mine"] {
            setxattr(place::file(dir, name), "user.a", b"1").unwrap();
        }
        nothing()
    },
    denied: |dir| removexattr(dir.join("yours"), "user.a"),
    allowed: |dir| removexattr(dir.join("mine"), "user.a"),
    event: |dir| Expected::deny(Hook::INODE_REMOVEXATTR, Rights::ATTR).path(dir.join("yours")),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn marks_that_the_kernel_goes_by_stay() {
    // An agent that has the capabilities for it may not either.
    let spec = format!("{POLICY}\ncapabilities:\n  - allow: [sys_admin, setfcap]");
    let place = Place::on_disk("removexattr_kernel");
    let (mine, yours) = (place.file("mine"), place.file("yours"));
    let opened = || open(&yours, libc::O_RDONLY);
    let denied = |right, path| Expected::deny(Hook::INODE_REMOVEXATTR, right).path(path);
    Trial::new(&place, &spec)
        .prepare(|| {
            setxattr(&mine, "trusted.overlay.opaque", b"y").unwrap();
            setxattr(&yours, "user.a", b"y").unwrap();
        })
        .refused(
            "through a descriptor for reading",
            || fremovexattr(&opened()?, "user.a"),
            EPERM,
            denied(Rights::ATTR, &yours),
        )
        .refused(
            "a mark of overlayfs",
            || removexattr(&mine, "trusted.overlay.opaque"),
            EPERM,
            denied(Rights::KERNEL, &mine),
        )
        .run();
}
