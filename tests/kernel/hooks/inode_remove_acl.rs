//! Removing access control lists: extended attributes before 6.2, and something of their own since.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::Case;
use crate::support::case::nothing;
use crate::support::expect::Expected;
use crate::support::fence::hook_or;
use crate::support::place;
use crate::support::sys::EPERM;
use crate::support::sys::attrs::{ACL, acl_for, removexattr, setxattr};

const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['${dir}/**']
  - allow: [attr]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::INODE_REMOVE_ACL,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        for name in ["yours", "mine"] {
            setxattr(place::file(dir, name), ACL, &acl_for(1000)).unwrap();
        }
        nothing()
    },
    denied: |dir| removexattr(dir.join("yours"), ACL),
    allowed: |dir| removexattr(dir.join("mine"), ACL),
    event: |dir| {
        let hook = hook_or(Hook::INODE_REMOVE_ACL, Hook::INODE_REMOVEXATTR);
        Expected::deny(hook, Rights::ATTR).path(dir.join("yours"))
    },
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
