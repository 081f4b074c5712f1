//! Setting access control lists: extended attributes before 6.2, and something of their own since.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::Case;
use crate::support::case::nothing;
use crate::support::expect::Expected;
use crate::support::fence::hook_or;
use crate::support::place;
use crate::support::sys::EPERM;
use crate::support::sys::attrs::{ACL, acl_for, setxattr};

const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['${dir}/**']
  - allow: [attr]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::INODE_SET_ACL,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        for name in ["yours", "mine"] {
            place::file(dir, name);
        }
        nothing()
    },
    denied: |dir| setxattr(dir.join("yours"), ACL, &acl_for(1000)),
    allowed: |dir| setxattr(dir.join("mine"), ACL, &acl_for(1000)),
    event: |dir| {
        let hook = hook_or(Hook::INODE_SET_ACL, Hook::INODE_SETXATTR);
        Expected::deny(hook, Rights::ATTR).path(dir.join("yours"))
    },
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
