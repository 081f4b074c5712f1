//! Trading names. What that must not bring about is in `launder`.

use std::fs;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::EACCES;
use crate::support::sys::files::{rename, rename2};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read, write, create, delete]
    paths: ['${dir}/mine/**']
  - allow: [read, write, create]
    paths: ['${dir}/kept/**']";

pub const CASE: Case = Case {
    hook: Hook::PATH_RENAME,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        let _ = fs::remove_dir_all(dir.join("yours"));
        for name in ["yours", "mine"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        place::file(dir, "mine/a");
        let _ = fs::remove_file(dir.join("mine/b"));
        nothing()
    },
    denied: |dir| rename(dir.join("mine/a"), dir.join("yours/a")),
    allowed: |dir| rename(dir.join("mine/a"), dir.join("mine/b")),
    event: |dir| denied(&dir.join("mine/a"), &dir.join("yours/a"), Rights::CREATE),
    by_child: false,
};

fn denied(old: &Path, new: &Path, requested: Rights) -> Expected {
    Expected::deny(Hook::PATH_RENAME, requested).path(old).peer(new)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn both_names_are_asked_for_what_happens_to_them() {
    let place = Place::on_disk("rename_names");
    let (mine, kept) = (place.dir("mine"), place.dir("kept"));
    let (a, b, fixed) = (mine.join("a"), mine.join("b"), kept.join("fixed"));
    Trial::new(&place, POLICY)
        .prepare(|| {
            place.file("mine/a");
            place.file("kept/fixed");
            for gone in [&b, &kept.join("new")] {
                let _ = fs::remove_file(gone);
            }
        })
        .refused(
            "away from where nothing may be deleted",
            || rename(&fixed, &b),
            EACCES,
            denied(&fixed, &b, Rights::DELETE),
        )
        .refused(
            "over what may not be deleted",
            || rename(&a, &fixed),
            EACCES,
            denied(&a, &fixed, Rights::CREATE | Rights::DELETE).because(Rights::DELETE),
        )
        .refused(
            "an exchange with what may not be deleted",
            || rename2(&a, &fixed, libc::RENAME_EXCHANGE),
            EACCES,
            denied(&a, &fixed, Rights::CREATE | Rights::DELETE).because(Rights::DELETE),
        )
        .refused(
            "leaving a whiteout, which gives both names something",
            || rename2(&a, kept.join("new"), libc::RENAME_WHITEOUT),
            EACCES,
            denied(&a, &kept.join("new"), Rights::CREATE | Rights::DELETE).because(Rights::DELETE),
        )
        .allowed("to a new name", || rename2(&a, &b, libc::RENAME_NOREPLACE))
        .allowed("into where things may be made", || rename(&a, kept.join("new")))
        .run();
}
