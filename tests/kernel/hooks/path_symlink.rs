//! Making symbolic links.

use std::fs;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::sys::EACCES;
use crate::support::sys::files::symlink;

pub const CASE: Case = Case {
    hook: Hook::PATH_SYMLINK,
    errno: EACCES,
    policy: "\
files:
  - allow: [create]
    paths: ['${dir}/mine']",
    prepare: |dir| {
        for name in ["yours", "mine"] {
            let _ = fs::remove_file(dir.join(name));
        }
        nothing()
    },
    denied: |dir| symlink("/etc/shadow", dir.join("yours")),
    // Where it points is nobody's business: what is reached through it is judged by itself.
    allowed: |dir| symlink("/etc/shadow", dir.join("mine")),
    event: |dir| Expected::deny(Hook::PATH_SYMLINK, Rights::CREATE).path(dir.join("yours")),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
