//! Watching files and directories.

use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::EACCES;
use crate::support::sys::attrs::{fanotify_mark, watch};
use crate::support::sys::files::{open, proc_fd};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/mine']
  - allow: [list]
    paths: ['${dir}/listed']";

pub const CASE: Case = Case {
    hook: Hook::PATH_NOTIFY,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        nothing()
    },
    denied: |dir| watch(dir.join("yours")),
    allowed: |dir| watch(dir.join("mine")),
    event: |dir| denied(Rights::READ, &dir.join("yours")),
    by_child: false,
};

fn denied(right: Rights, path: &Path) -> Expected {
    Expected::deny(Hook::PATH_NOTIFY, right).path(path)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn directories_take_listing_and_whole_mounts_nobody_may_watch() {
    let place = Place::on_disk("notify");
    let (listed, hidden) = (place.dir("listed"), place.dir("hidden"));
    let yours = place.file("yours");
    let mount = Expected::deny(Hook::PATH_NOTIFY, Rights::KERNEL);
    // Without the capability not even one's own files may be watched by fanotify.
    let spec = format!("{POLICY}\ncapabilities:\n  - allow: [sys_admin]");
    Trial::new(&place, &spec)
        .allowed("a directory that may be listed", || watch(&listed))
        .refused("one that may not", || watch(&hidden), EACCES, denied(Rights::LIST, &hidden))
        .refused(
            "through a descriptor without rights",
            || {
                let file = open(&yours, libc::O_PATH)?;
                watch(proc_fd(&file))
            },
            EACCES,
            denied(Rights::READ, &yours),
        )
        .refused(
            "fanotify of a file",
            || fanotify_mark(&yours, 0),
            EACCES,
            denied(Rights::READ, &yours),
        )
        .refused("fanotify of a mount", || fanotify_mark(&listed, 0x10), EACCES, mount)
        .run();
}
