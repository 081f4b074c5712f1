//! Giving files second names. What that must not bring about is in `launder`.

use std::fs;
use std::os::fd::AsRawFd as _;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::EACCES;
use crate::support::sys::files::{HERE, link, link_at, open, proc_fd};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read, create]
    paths: ['${dir}/*']
  - allow: [link]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::PATH_LINK,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        for name in ["new", "other"] {
            let _ = fs::remove_file(dir.join(name));
        }
        nothing()
    },
    denied: |dir| link(dir.join("yours"), dir.join("new")),
    allowed: |dir| link(dir.join("mine"), dir.join("other")),
    event: |dir| {
        Expected::deny(Hook::PATH_LINK, Rights::LINK).path(dir.join("yours")).peer(dir.join("new"))
    },
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn every_way_to_name_the_file_is_judged_by_the_file() {
    let place = Place::on_disk("link_names");
    let (yours, new) = (place.file("yours"), place.at("new"));
    let event = || (CASE.event)(place.path());
    // 6.1 asks for it before the hook.
    let policy = format!("{POLICY}\ncapabilities:\n  - allow: [dac_read_search]");
    Trial::new(&place, &policy)
        .prepare(|| drop(fs::remove_file(&new)))
        .refused(
            "an open descriptor",
            || link_at(open(&yours, libc::O_PATH)?.as_raw_fd(), "", &new, libc::AT_EMPTY_PATH),
            EACCES,
            event(),
        )
        .run();
    let by_proc = || {
        let file = open(&yours, libc::O_PATH)?;
        link_at(HERE, proc_fd(&file), &new, libc::AT_SYMLINK_FOLLOW)
    };
    Trial::new(&place, POLICY)
        .prepare(|| drop(fs::remove_file(&new)))
        .refused("/proc/self/fd", by_proc, EACCES, event())
        .run();
}

#[test]
fn the_new_name_must_be_allowed_too() {
    let place = Place::on_disk("link_new_name");
    let mine = place.file("mine");
    let new = place.dir("below").join("new");
    Trial::new(&place, POLICY)
        .prepare(|| drop(fs::remove_file(&new)))
        .refused(
            "a name where nothing may be made",
            || link(&mine, &new),
            EACCES,
            Expected::deny(Hook::PATH_LINK, Rights::CREATE).path(&mine).peer(&new),
        )
        .run();
}
