//! Truncating what was never opened.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::EACCES;
use crate::support::sys::files::{ftruncate, open, truncate};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']
  - allow: [write]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::PATH_TRUNCATE,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        nothing()
    },
    denied: |dir| truncate(dir.join("yours"), 0),
    allowed: |dir| truncate(dir.join("mine"), 0),
    event: |dir| Expected::deny(Hook::PATH_TRUNCATE, Rights::WRITE).path(dir.join("yours")),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn what_is_open_for_writing_may_be_truncated() {
    let place = Place::on_disk("truncate_open");
    let mine = place.file("mine");
    Trial::new(&place, POLICY)
        .allowed("ftruncate", || ftruncate(&open(&mine, libc::O_WRONLY)?, 1))
        .allowed("O_TRUNC", || open(&mine, libc::O_WRONLY | libc::O_TRUNC).map(drop))
        .run();
}
