//! Opening what has a name, by every way to open it.

use std::fs;
use std::os::fd::AsRawFd as _;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::files::{
    HERE, chdir, creat, mknod, open, open_at, open2, proc_fd, read, touch,
};
use crate::support::sys::{EACCES, Errno, process, ring};
use crate::support::trial::Trial;
use crate::support::{elf, fence::Fence};

pub const CASE: Case = Case {
    hook: Hook::FILE_OPEN,
    errno: EACCES,
    policy: "\
files:
  - allow: [read]
    paths: ['${dir}/*']
  - deny: [read]
    paths: ['${dir}/secret']
    reason: it is secret",
    prepare: |dir| {
        place::file(dir, "secret");
        place::file(dir, "public");
        nothing()
    },
    denied: |dir| touch(dir.join("secret"), libc::O_RDONLY),
    allowed: |dir| touch(dir.join("public"), libc::O_RDONLY),
    event: |dir| Expected::deny(Hook::FILE_OPEN, Rights::READ).path(dir.join("secret")).rule(5),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}

/// What may be read is all but `secret`, what may be written is `own`.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['${dir}', '${dir}/{public,own}', '/proc/self/**']
  - allow: [write, create]
    paths: ['${dir}/own']";

fn denied(place: &Place, name: &str, rights: Rights) -> Expected {
    Expected::deny(Hook::FILE_OPEN, rights).path(place.at(name))
}

#[test]
fn every_way_to_name_a_file_is_judged_by_the_file() {
    let place = Place::on_disk("file_open_names");
    let secret = place.file("secret");
    place.file("public");
    std::os::unix::fs::symlink("secret", place.at("link")).unwrap();
    std::os::unix::fs::symlink(place.path(), place.at("way")).unwrap();
    let read_secret = || denied(&place, "secret", Rights::READ);
    let at_root = format!("/proc/self/root{}", secret.display());
    let dotted = place.at("../file_open_names/./secret");
    let (link, way) = (place.at("link"), place.at("way/way/secret"));
    let path = place.path();
    Trial::new(&place, POLICY)
        .refused("a link", || touch(&link, 0), EACCES, read_secret())
        .refused("a link to the directory", || touch(&way, 0), EACCES, read_secret())
        .refused("dots", || touch(&dotted, 0), EACCES, read_secret())
        .refused("/proc/self/root", || touch(&at_root, 0), EACCES, read_secret())
        .refused(
            "/proc/self/cwd",
            || chdir(path).and_then(|()| touch("/proc/self/cwd/secret", 0)),
            EACCES,
            read_secret(),
        )
        .refused(
            "a name in a directory that is open",
            || open_at(open(path, libc::O_PATH)?.as_raw_fd(), "secret", 0, 0).map(drop),
            EACCES,
            read_secret(),
        )
        .refused(
            "a descriptor without rights, opened again",
            || touch(proc_fd(&open(&secret, libc::O_PATH)?), 0),
            EACCES,
            read_secret(),
        )
        .refused("openat2", || open2(HERE, &secret, 0, 0).map(drop), EACCES, read_secret())
        .allowed("a descriptor without rights", || touch(&secret, libc::O_PATH))
        .run();
}

#[test]
fn every_kind_of_access_is_asked_for() {
    let place = Place::on_disk("file_open_access");
    place.file("public");
    let public = place.at("public");
    let write = || denied(&place, "public", Rights::WRITE);
    let own = place.file("own");
    Trial::new(&place, POLICY)
        .refused("writing", || touch(&public, libc::O_WRONLY), EACCES, write())
        .refused(
            "reading and writing",
            || touch(&public, libc::O_RDWR),
            EACCES,
            denied(&place, "public", Rights::READ | Rights::WRITE).because(Rights::WRITE),
        )
        .refused("appending", || touch(&public, libc::O_WRONLY | libc::O_APPEND), EACCES, write())
        .refused(
            "reading with O_TRUNC",
            || touch(&public, libc::O_RDONLY | libc::O_TRUNC),
            EACCES,
            denied(&place, "public", Rights::READ | Rights::WRITE).because(Rights::WRITE),
        )
        .refused(
            "access mode 3",
            || touch(&public, libc::O_ACCMODE),
            EACCES,
            denied(&place, "public", Rights::READ | Rights::WRITE).because(Rights::WRITE),
        )
        .refused("creat of a file that is there", || creat(&public), EACCES, write())
        .allowed("writing where it is allowed", || touch(&own, libc::O_RDWR | libc::O_TRUNC))
        .allowed("listing", || touch(place.path(), libc::O_DIRECTORY))
        .run();
    assert_eq!(fs::read(&public).unwrap(), b"", "the outside has truncated it, as it may");
}

#[test]
fn a_refused_truncation_leaves_the_content() {
    let place = Place::on_disk("file_open_truncate");
    let public = place.file("public");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut child = fence.tagged(&agent, |_| touch(&public, libc::O_WRONLY | libc::O_TRUNC));
    assert_eq!(child.try_to(0), Err(EACCES));
    assert_eq!(fs::read(&public).unwrap(), b"public");
}

#[test]
fn a_nameless_file_is_created_where_it_is_opened() {
    let place = Place::on_disk("file_open_tmpfile");
    let (open_dir, shut) = (place.dir("open"), place.dir("shut"));
    let spec = "\
files:
  - allow: [read, write, create]
    paths: ['${dir}/open/**']";
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), spec);
    let flags = libc::O_TMPFILE | libc::O_RDWR;
    let mut child = fence.child(|step| touch(if step == 0 { &shut } else { &open_dir }, flags));
    assert_eq!(child.try_to(0), Ok(()));
    child.tag(agent.tag);
    assert_eq!(child.try_to(1), Ok(()));
    fence.quiet(&agent);
    assert_eq!(child.try_to(0), Err(EACCES));
    let events = fence.events(&agent);
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event.requested, Rights::READ | Rights::WRITE | Rights::CREATE);
    // The kernel calls it by its inode number.
    let name = event.subject.as_ref().unwrap().to_string();
    assert!(name.starts_with(&format!("{}/#", shut.display())), "{name}");
}

#[test]
fn io_uring_is_judged_too() {
    let place = Place::on_disk("file_open_ring");
    let (secret, public) = (place.file("secret"), place.file("public"));
    Trial::new(&place, POLICY)
        .allowed("what may be read", || ring::open(&public, libc::O_RDONLY).map(drop))
        .refused(
            "what may not",
            || ring::open(&secret, libc::O_RDONLY).map(drop),
            EACCES,
            denied(&place, "secret", Rights::READ),
        )
        .run();
}

#[test]
fn an_elf_interpreter_is_code() {
    let place = Place::on_disk("file_open_interpreter");
    let make = |name: &str, bytes: &[u8]| place::program(place.path(), name, bytes);
    let (bad, good) = (make("bad", &elf::interpreter()), make("good", &elf::interpreter()));
    let with_bad = make("with-bad", &elf::with_interpreter(&bad));
    let with_good = make("with-good", &elf::with_interpreter(&good));
    let spec = "\
exec:
  - allow: ['${dir}/{good,with-*}']";
    Trial::new(&place, spec)
        .refused_to_child(
            "one that may not be mapped",
            || process::run(&with_bad, &[]),
            EACCES,
            denied(&place, "bad", Rights::MAP),
        )
        .allowed("one that may", || process::run(&with_good, &[]))
        .run();
}

#[test]
fn a_pidfd_is_no_file() {
    // Since 6.9 pidfds live in a file system of their own (pidfs), and making one opens a file
    // there. It gives no right by itself: what is done with it is judged when it is done.
    let place = Place::on_disk("file_open_pidfd");
    Trial::new(&place, POLICY)
        .allowed("one's own", || process::pidfd(process::pid()).map(drop))
        .run();
}

#[test]
fn what_was_open_before_stays_open() {
    // Descriptors are not judged again when they are used; the launcher hands over only its own.
    let place = Place::on_disk("file_open_before");
    let secret = place.file("secret");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut kept = None;
    let mut child = fence.child(|step| {
        if step == 0 {
            kept = Some(open(&secret, libc::O_RDONLY)?);
        }
        let content = read(kept.as_ref().ok_or(Errno(libc::EBADF))?)?;
        Ok(content.len() as i64)
    });
    assert_eq!(child.run(0), Ok(6));
    child.tag(agent.tag);
    assert_eq!(child.run(1), Ok(6));
    fence.quiet(&agent);
}

#[test]
fn a_device_takes_more_than_reading_and_writing() {
    let place = Place::on_disk("file_open_devices");
    let spec = "\
files:
  - allow: [read, write, list]
    paths: ['/**']
devices:
  - allow: ['${dir}/zero']";
    // Character device 1:1 is all of the machine's memory, 1:5 the zeros; the disk is a block device.
    let (memory, zero) = (place.at("memory"), place.at("zero"));
    mknod(&memory, libc::S_IFCHR | 0o600, libc::makedev(1, 1)).unwrap();
    mknod(&zero, libc::S_IFCHR | 0o600, libc::makedev(1, 5)).unwrap();
    let disk = std::path::PathBuf::from("/dev/vda");
    let device = |path: &std::path::Path| {
        Expected::deny(Hook::FILE_OPEN, Rights::READ | Rights::DEVICE)
            .because(Rights::DEVICE)
            .path(path)
    };
    Trial::new(&place, spec)
        .refused("the disk", || touch(&disk, libc::O_RDONLY), EACCES, device(&disk))
        .refused("memory", || touch(&memory, libc::O_RDONLY), EACCES, device(&memory))
        .allowed("one that a rule allows", || touch(&zero, libc::O_RDWR))
        .allowed("those that every program expects", || {
            ["null", "zero", "full", "random", "urandom", "ptmx"]
                .iter()
                .try_for_each(|name| touch(format!("/dev/{name}"), libc::O_RDWR))
        })
        .run();
}
