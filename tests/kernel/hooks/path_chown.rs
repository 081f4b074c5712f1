//! Changing owners.

use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::EPERM;
use crate::support::sys::attrs::{chown, chown_empty_path, fchown, lchown};
use crate::support::sys::files::open;
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/**']
  - allow: [attr]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::PATH_CHOWN,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        nothing()
    },
    denied: |dir| chown(dir.join("yours"), 1000),
    allowed: |dir| chown(dir.join("mine"), 1000),
    event: |dir| denied(&dir.join("yours")),
    by_child: false,
};

fn denied(path: &Path) -> Expected {
    Expected::deny(Hook::PATH_CHOWN, Rights::ATTR).path(path)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn every_way_to_change_an_owner_is_judged() {
    let place = Place::on_disk("chown_ways");
    let yours = place.file("yours");
    let link = place.at("link");
    std::os::unix::fs::symlink("yours", &link).unwrap();
    let opened = |flags| open(&yours, flags);
    Trial::new(&place, POLICY)
        .refused("through a link", || chown(&link, 1000), EPERM, denied(&yours))
        .refused("of the link itself", || lchown(&link, 1000), EPERM, denied(&link))
        .refused("fchown", || fchown(&opened(libc::O_RDONLY)?, 1000), EPERM, denied(&yours))
        .refused(
            "fchownat of a descriptor without rights",
            || chown_empty_path(&opened(libc::O_PATH)?, 1000),
            EPERM,
            denied(&yours),
        )
        .run();
}
