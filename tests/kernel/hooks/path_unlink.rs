//! Taking names of files away.

use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::EACCES;
use crate::support::sys::files::{unlink, unlink_old};
use crate::support::trial::Trial;

/// Only what is called `mine` may be deleted.
const POLICY: &str = "\
files:
  - allow: [read, write, create]
    paths: ['${dir}/**']
  - allow: [delete]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::PATH_UNLINK,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        nothing()
    },
    denied: |dir| unlink(dir.join("yours")),
    allowed: |dir| unlink(dir.join("mine")),
    event: |dir| denied(&dir.join("yours")),
    by_child: false,
};

fn denied(path: &Path) -> Expected {
    Expected::deny(Hook::PATH_UNLINK, Rights::DELETE).path(path)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn the_name_is_judged_and_not_what_it_means() {
    let place = Place::on_disk("unlink_names");
    let yours = place.at("yours");
    let way = place.at("way/yours");
    let mine = place.at("mine");
    std::os::unix::fs::symlink(".", place.at("way")).unwrap();
    Trial::new(&place, POLICY)
        .prepare(|| {
            place.file("yours");
            let _ = std::fs::remove_file(&mine);
            std::os::unix::fs::symlink("yours", &mine).unwrap();
        })
        .refused("unlink(2)", || unlink_old(&yours), EACCES, denied(&yours))
        .refused("by a link to the directory", || unlink(&way), EACCES, denied(&yours))
        .allowed("a link of one's own to it", || unlink(&mine))
        .run();
}
