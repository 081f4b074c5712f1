//! Making directories.

use std::fs;
use std::os::fd::AsRawFd as _;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::files::{mkdir, mkdir_at, open};
use crate::support::sys::{EACCES, Errno};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [create]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::PATH_MKDIR,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        for name in ["yours", "mine"] {
            let _ = fs::remove_dir(dir.join(name));
        }
        nothing()
    },
    denied: |dir| mkdir(dir.join("yours")),
    allowed: |dir| mkdir(dir.join("mine")),
    event: |dir| Expected::deny(Hook::PATH_MKDIR, Rights::CREATE).path(dir.join("yours")),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn a_directory_that_is_there_already_is_no_violation() {
    // `mkdir -p` tries every directory on its way.
    let place = Place::on_disk("mkdir_there");
    let there = place.dir("yours");
    let exists = || match mkdir(&there) {
        Err(Errno(libc::EEXIST)) => Ok(()),
        other => panic!("{other:?}"),
    };
    Trial::new(&place, POLICY).allowed("mkdir of what is there", exists).run();
}

#[test]
fn mkdirat_is_the_same() {
    let place = Place::on_disk("mkdir_at");
    Trial::new(&place, POLICY)
        .prepare(|| drop(fs::remove_dir(place.at("yours"))))
        .refused(
            "mkdirat",
            || mkdir_at(open(place.path(), libc::O_PATH)?.as_raw_fd(), "yours"),
            EACCES,
            (CASE.event)(place.path()),
        )
        .run();
}
