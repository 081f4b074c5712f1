//! Changing times, which no hook with a path sees.

use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::{self, Place};
use crate::support::sys::attrs::{LONG_AGO, NOW, OMIT, futimes, lutimes, touch_times, utimes};
use crate::support::sys::files::{mount, open, pipe, truncate, umount, write};
use crate::support::sys::mounts::bind_at;
use crate::support::sys::{EPERM, Errno};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['${dir}/**']
  - allow: [attr]
    paths: ['${dir}/mine']
  - allow: [write]
    paths: ['${dir}/{written,mine}']";

pub const CASE: Case = Case {
    hook: Hook::INODE_SETATTR,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        nothing()
    },
    denied: |dir| utimes(dir.join("yours"), [LONG_AGO; 2]),
    allowed: |dir| utimes(dir.join("mine"), [LONG_AGO; 2]),
    event: |dir| denied(&dir.join("yours")),
    by_child: false,
};

fn denied(path: &Path) -> Expected {
    Expected::deny(Hook::INODE_SETATTR, Rights::ATTR).path(path)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn every_way_to_change_times_is_judged() {
    let place = Place::on_disk("setattr_ways");
    let (yours, written, mine) = (place.file("yours"), place.file("written"), place.file("mine"));
    let link = place.at("link");
    std::os::unix::fs::symlink("yours", &link).unwrap();
    let opened = || open(&yours, libc::O_RDONLY);
    Trial::new(&place, POLICY)
        .refused("the first", || utimes(&yours, [LONG_AGO, OMIT]), EPERM, denied(&yours))
        .refused("the second", || utimes(&yours, [OMIT, LONG_AGO]), EPERM, denied(&yours))
        .refused("one of them to now", || utimes(&yours, [NOW, OMIT]), EPERM, denied(&yours))
        .refused("both to now", || touch_times(&yours), EPERM, denied(&yours))
        .refused("through a link", || utimes(&link, [LONG_AGO; 2]), EPERM, denied(&yours))
        .refused("of the link itself", || lutimes(&link, [LONG_AGO; 2]), EPERM, denied(&link))
        .refused(
            "of what is open for reading",
            || futimes(&opened()?, [LONG_AGO; 2]),
            EPERM,
            denied(&yours),
        )
        .refused(
            "a chosen time of what may be written",
            || utimes(&written, [LONG_AGO; 2]),
            EPERM,
            denied(&written),
        )
        .allowed("to now where writing would do the same", || touch_times(&written))
        .allowed("a pipe's", || futimes(&pipe()?.0, [LONG_AGO; 2]))
        .allowed("what follows from truncating", || truncate(&mine, 0))
        .allowed("what follows from writing", || write(&open(&written, libc::O_WRONLY)?, b"x"))
        .run();
}

#[test]
fn a_file_with_two_names_is_judged_by_both() {
    // The hook does not say through which mount the file is seen.
    let place = Place::on_disk("setattr_views");
    let (mine, file) = (place.dir("mine"), place.at("mine/f"));
    let other = place.dir("other");
    place::file(&mine, "f");
    let spec = "\
files:
  - allow: [attr]
    paths: ['${dir}/mine/**']";
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), spec);
    let mut child = fence.tagged(&agent, |_| utimes(&file, [LONG_AGO; 2]));
    assert_eq!(child.try_to(0), Ok(()), "one name");
    bind_at(&mine, &other).unwrap();
    let answer = child.try_to(0);
    umount(&other, 0).unwrap();
    assert_eq!(answer, Err(EPERM), "two names, and only one that a rule allows");
    fence.expect(&agent, &child, &[denied(&other.join("f"))]);
    assert_eq!(child.try_to(0), Ok(()), "one name again");
    // A mount of another part of the file system shows no name of the file.
    bind_at(&place.dir("elsewhere"), &other).unwrap();
    let answer = child.try_to(0);
    umount(&other, 0).unwrap();
    assert_eq!(answer, Ok(()));
    fence.quiet(&agent);
}

#[test]
fn a_layer_is_judged_as_the_overlay_shows_it() {
    let place = Place::on_disk("setattr_overlay");
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|n| place.dir(n));
    place::file(&lower, "f");
    let (lower, upper, work) = (lower.display(), upper.display(), work.display());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    mount("none", &merged, "overlay", 0, &options).unwrap();
    let spec = "\
files:
  - allow: [attr, read, write, list]
    paths: ['${dir}/merged/**']";
    let file = merged.join("f");
    let yours = place.file("yours");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), spec);
    // Step 1 has the file copied up, whose times and attributes the kernel sets on the upper layer.
    let mut child = fence.tagged(&agent, |step| match step {
        0 => utimes(&yours, [LONG_AGO; 2]),
        1 => write(&open(&file, libc::O_RDWR)?, b"changed"),
        _ => utimes(&file, [LONG_AGO; 2]),
    });
    let answers = [1, 2, 0].map(|step| child.try_to(step));
    let mode = std::fs::metadata(&file).unwrap();
    umount(&merged, 0).unwrap();
    assert_eq!(answers, [Ok(()), Ok(()), Err(EPERM)]);
    assert_eq!(std::os::unix::fs::MetadataExt::mtime(&mode), 1, "the time was set");
    fence.expect(&agent, &child, &[denied(&yours)]);
}

#[test]
fn a_file_that_no_mount_of_the_namespace_shows_is_refused() {
    let place = Place::on_disk("setattr_foreign");
    let at = place.dir("m");
    mount("none", &at, "tmpfs", 0, "").unwrap();
    let file = place::file(&at, "f");
    let kept = open(&file, libc::O_RDONLY).unwrap();
    umount(&at, libc::MNT_DETACH).unwrap();
    let spec = "\
files:
  - allow: [attr, read, list]
    paths: ['/**']";
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), spec);
    let mut child = fence.child(|_| futimes(&kept, [LONG_AGO; 2]));
    assert_eq!(child.try_to(0), Ok(()));
    child.tag(agent.tag);
    assert_eq!(child.try_to(0), Err(Errno(libc::EPERM)));
    let fault = sensor_ebpf::hook::Fault::FOREIGN_MOUNT;
    fence.expect(&agent, &child, &[Expected::fault(Hook::INODE_SETATTR, fault)]);
}
