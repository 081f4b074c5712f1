//! Directories that a task has been in are remembered, so that its next file there need not be
//! walked to. What is remembered must be forgotten as soon as the name changes, whoever changes it.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{mount, open, open_at, touch, umount};
use crate::support::sys::{EACCES, Res};

const MINE: &str = "files:\n  - allow: [read]\n    paths: ['${dir}/mine/**']";

fn denied(place: &Place, path: &str) -> Expected {
    Expected::deny(Hook::FILE_OPEN, Rights::READ).path(place.at(path))
}

/// A process that opens a file in a directory which it holds open, so that it never names the
/// directory again. Opens it twice before `change`, which an outsider does, once after, and once
/// again after `back`.
#[track_caller]
fn follows(place: &Place, dir: &str, change: impl Fn(), after: &str, back: impl Fn()) {
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), MINE);
    let held: OwnedFd = open(place.at(dir), libc::O_PATH).unwrap();
    let mut child = fence.tagged(&agent, |_| open_at(held.as_raw_fd(), "f", 0, 0).map(drop));
    for _ in 0..2 {
        assert_eq!(child.try_to(0), Ok(()), "under its first name");
        fence.quiet(&agent);
    }
    change();
    assert_eq!(child.try_to(0), Err(EACCES), "under its second name");
    fence.expect(&agent, &child, &[denied(place, after)]);
    back();
    assert_eq!(child.try_to(0), Ok(()), "under its first name again");
    fence.quiet(&agent);
}

#[test]
fn a_directory_whose_parent_was_renamed_has_its_new_name() {
    let place = Place::on_disk("remembered_rename");
    place.dir("mine/a/b");
    place.file("mine/a/b/f");
    let (mine, yours) = (place.at("mine/a"), place.at("yours"));
    follows(
        &place,
        "mine/a/b",
        || fs::rename(&mine, &yours).unwrap(),
        "yours/b/f",
        || fs::rename(&yours, &mine).unwrap(),
    );
}

#[test]
fn a_mount_that_was_moved_has_its_new_name() {
    let place = Place::on_disk("remembered_mount");
    let (mine, yours) = (place.dir("mine/m"), place.dir("yours/m"));
    mount("none", &mine, "tmpfs", 0, "").unwrap();
    place.dir("mine/m/d");
    place.file("mine/m/d/f");
    let moved = |from, to| mount(from, to, "", libc::MS_MOVE, "").unwrap();
    follows(&place, "mine/m/d", || moved(&mine, &yours), "yours/m/d/f", || moved(&yours, &mine));
    umount(&mine, libc::MNT_DETACH).unwrap();
}

#[test]
fn a_file_that_was_renamed_has_its_new_name() {
    let place = Place::on_disk("remembered_file");
    place.dir("mine");
    let (open_me, secret) = (place.file("mine/f"), place.file("mine/.env"));
    let spec = format!("{MINE}\n  - deny: [read]\n    paths: ['**/.env']");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), &spec);
    let paths = [open_me.clone(), secret.clone()];
    let mut child = fence.tagged(&agent, |step| touch(&paths[step as usize], libc::O_RDONLY));
    assert_eq!(child.try_to(0), Ok(()));
    assert_eq!(child.try_to(0), Ok(()));
    assert_eq!(child.try_to(1), Err(EACCES), "the other in the same directory");
    let event = denied(&place, "mine/.env").rule(5);
    fence.expect(&agent, &child, std::slice::from_ref(&event));
    fs::rename(&open_me, &secret).unwrap();
    assert_eq!(child.try_to(1), Err(EACCES), "what could be read before, by its new name");
    fence.expect(&agent, &child, &[event]);
}

#[test]
fn a_directory_made_in_place_of_another_is_not_taken_for_it() {
    // Kernels give the memory of a removed directory, and often its inode number, to the next.
    let place = Place::on_disk("remembered_recycled");
    place.dir("mine");
    place.dir("yours");
    let (mine, yours) = (place.at("mine/d"), place.at("yours/d"));
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), MINE);
    let mut child = fence.tagged(&agent, |step| -> Res {
        touch(if step == 0 { &mine } else { &yours }.join("f"), libc::O_RDONLY)
    });
    for _ in 0..100 {
        for (step, dir) in [(0, &mine), (1, &yours)] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("f"), "x").unwrap();
            let expected = if step == 0 { Ok(()) } else { Err(EACCES) };
            assert_eq!(child.try_to(step), expected);
            fs::remove_dir_all(dir).unwrap();
        }
    }
    let refused = vec![denied(&place, "yours/d/f"); 100];
    fence.expect(&agent, &child, &refused);
}
