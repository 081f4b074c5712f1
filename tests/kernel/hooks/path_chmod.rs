//! Changing modes, and making programs that lend an identity.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::{self, Place};
use crate::support::sys::attrs::{chmod, chmod_at, chmod_empty_path, fchmod};
use crate::support::sys::files::{HERE, memfd, mkdir, mknod, open, open_at, pipe};
use crate::support::sys::{EACCES, EPERM, Errno, Res};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read, list, create]
    paths: ['${dir}/**']
  - allow: [write, attr]
    paths: ['${dir}/mine*']";

pub const CASE: Case = Case {
    hook: Hook::PATH_CHMOD,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        nothing()
    },
    denied: |dir| chmod(dir.join("yours"), 0o666),
    allowed: |dir| chmod(dir.join("mine"), 0o666),
    event: |dir| denied(&dir.join("yours")),
    by_child: false,
};

fn denied(path: &Path) -> Expected {
    Expected::deny(Hook::PATH_CHMOD, Rights::ATTR).path(path)
}

fn set_id(hook: Hook, rights: Rights, path: &Path) -> Expected {
    Expected::deny(hook, rights).cause(Fault::SET_ID).path(path)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn every_way_to_change_a_mode_is_judged() {
    let place = Place::on_disk("chmod_ways");
    let yours = place.file("yours");
    let read_only = || open(&yours, libc::O_RDONLY);
    // 6.1 has no such call.
    let newer = || match chmod_empty_path(&open(&yours, libc::O_PATH)?, 0o600) {
        Err(Errno(libc::ENOSYS)) => chmod(&yours, 0o600),
        answer => answer,
    };
    Trial::new(&place, POLICY)
        .refused("fchmodat", || chmod_at(&yours, 0o600), EPERM, denied(&yours))
        .refused(
            "fchmod of what may be read",
            || fchmod(&read_only()?, 0o600),
            EPERM,
            denied(&yours),
        )
        .refused("fchmodat2 of a descriptor without rights", newer, EPERM, denied(&yours))
        .allowed("a pipe's", || fchmod(&pipe()?.0, 0o600))
        .allowed("a memory file's", || fchmod(&memfd("m")?, 0o600))
        .run();
}

#[test]
fn no_rule_allows_to_make_a_set_id_program() {
    let place = Place::on_disk("chmod_set_id");
    let mine = place.file("mine");
    let dir = place.dir("mine-too");
    let (new, fifo) = (place.at("mine-new"), place.at("mine-fifo"));
    let create = |mode| open_at(HERE, &new, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, mode);
    let chmod_event = || set_id(Hook::PATH_CHMOD, Rights::ATTR, &mine);
    let mknod_event = |path: &Path| set_id(Hook::PATH_MKNOD, Rights::CREATE, path);
    let nothing_new = || {
        let _ = fs::remove_file(&new);
        let _ = fs::remove_file(&fifo);
        let _ = fs::remove_dir(place.at("mine-dir"));
    };
    Trial::new(&place, POLICY)
        .prepare(nothing_new)
        .refused("set-uid", || chmod(&mine, 0o4755), EPERM, chmod_event())
        .refused("set-gid", || chmod(&mine, 0o2755), EPERM, chmod_event())
        .refused("both", || chmod(&mine, 0o6755), EPERM, chmod_event())
        .refused("open", || create(0o4755).map(drop), EACCES, mknod_event(&new))
        .refused("mknod", || mknod(&fifo, libc::S_IFREG | 0o4755, 0), EACCES, mknod_event(&fifo))
        .allowed("a sticky file", || chmod(&mine, 0o1755))
        .allowed("a directory that hands its group on", || chmod(&dir, 0o2775))
        .allowed("an ordinary new file", || create(0o755).map(drop))
        .allowed("a new directory", || mkdir(place.at("mine-dir")))
        .run();
    let mode = fs::metadata(&mine).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1755, "the last that was allowed");
}

#[test]
fn a_nameless_set_id_program_is_refused_when_it_is_opened() {
    let place = Place::on_disk("chmod_tmpfile");
    let spec = "\
files:
  - allow: [read, write, create, attr]
    paths: ['${dir}/**']";
    let make = |mode| -> Res {
        open_at(HERE, place.path(), libc::O_TMPFILE | libc::O_RDWR, mode).map(drop)
    };
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), spec);
    let mut child = fence.child(|step| make(if step == 0 { 0o4755 } else { 0o755 }));
    assert_eq!(child.try_to(0), Ok(()));
    child.tag(agent.tag);
    assert_eq!(child.try_to(1), Ok(()));
    fence.quiet(&agent);
    assert_eq!(child.try_to(0), Err(EACCES));
    let events = fence.events(&agent);
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.hook, event.fault), (Hook::FILE_OPEN, Fault::SET_ID));
}
