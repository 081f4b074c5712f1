//! Making files: by `open`, by `mknod`, by binding a unix socket.

use std::fs;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{creat, mknod, touch};
use crate::support::sys::net::{Address, bind, socket};
use crate::support::sys::{EACCES, Errno, Res};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read, write]
    paths: ['${dir}/**']
  - allow: [create]
    paths: ['${dir}/mine*']";

pub const CASE: Case = Case {
    hook: Hook::PATH_MKNOD,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        for name in ["yours", "mine"] {
            let _ = fs::remove_file(dir.join(name));
        }
        nothing()
    },
    denied: |dir| mknod(dir.join("yours"), libc::S_IFIFO | 0o600, 0),
    allowed: |dir| mknod(dir.join("mine"), libc::S_IFIFO | 0o600, 0),
    event: |dir| denied(&dir.join("yours"), Rights::CREATE),
    by_child: false,
};

fn denied(path: &Path, requested: Rights) -> Expected {
    Expected::deny(Hook::PATH_MKNOD, requested).path(path)
}

const CREATE: i32 = libc::O_WRONLY | libc::O_CREAT;

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn a_refused_creation_makes_one_event_and_no_file() {
    // The kernel asks before it knows whether the file is there; on tmpfs it does not even remember
    // that it was not.
    for place in Place::both("mknod_creation") {
        let yours = place.at("yours");
        Trial::new(&place, POLICY)
            .prepare(|| drop(fs::remove_file(&yours)))
            .refused("O_CREAT", || touch(&yours, CREATE), EACCES, denied(&yours, Rights::CREATE))
            .refused(
                "O_CREAT again",
                || touch(&yours, CREATE),
                EACCES,
                denied(&yours, Rights::CREATE),
            )
            .refused(
                "O_CREAT with O_EXCL",
                || touch(&yours, CREATE | libc::O_EXCL),
                EACCES,
                denied(&yours, Rights::CREATE),
            )
            .refused("creat", || creat(&yours), EACCES, denied(&yours, Rights::CREATE))
            .run();
        let mut fence = Fence::up();
        let agent = fence.agent(place.path(), POLICY);
        let mut child = fence.tagged(&agent, |step| touch(place.at(&format!("no-{step}")), CREATE));
        for step in 0..20 {
            assert_eq!(child.try_to(step), Err(EACCES));
            let name = place.at(&format!("no-{step}"));
            fence.expect(&agent, &child, &[denied(&name, Rights::CREATE)]);
            assert!(!name.exists());
        }
    }
}

#[test]
fn opening_what_is_there_is_no_creation() {
    for place in Place::both("mknod_there") {
        let mut fence = Fence::up();
        let agent = fence.agent(place.path(), POLICY);
        let mut child = fence.tagged(&agent, |step| {
            let name = place.at(&format!("there-{}", step / 2));
            touch(name, CREATE | if step % 2 == 0 { libc::O_TRUNC } else { 0 })
        });
        for step in 0..20 {
            // A file that nobody has looked up yet, and then once more.
            if step % 2 == 0 {
                place.file(&format!("there-{}", step / 2));
                drop_names();
            }
            assert_eq!(child.try_to(step), Ok(()));
            fence.quiet(&agent);
        }
    }
}

/// Makes the kernel forget the names that it remembers.
fn drop_names() {
    fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
}

#[test]
fn what_may_be_made_is_made_in_silence() {
    for place in Place::both("mknod_mine") {
        let mine = place.at("mine");
        let exists = || match touch(&mine, CREATE | libc::O_EXCL) {
            Err(Errno(libc::EEXIST)) => Ok(()),
            other => panic!("{other:?}"),
        };
        Trial::new(&place, POLICY)
            .prepare(|| drop(fs::remove_file(&mine)))
            .allowed("O_CREAT", || touch(&mine, CREATE))
            .allowed("O_EXCL", || touch(&mine, CREATE | libc::O_EXCL))
            .allowed("O_EXCL twice", || touch(&mine, CREATE).and_then(|()| exists()))
            .run();
    }
}

#[test]
fn no_policy_gives_devices() {
    let place = Place::on_disk("mknod_device");
    let mine = place.at("mine");
    let null = libc::makedev(1, 3);
    let event = || denied(&mine, Rights::CREATE | Rights::DEVICE).because(Rights::DEVICE);
    Trial::new(&place, POLICY)
        .prepare(|| drop(fs::remove_file(&mine)))
        .refused("a character device", || mknod(&mine, libc::S_IFCHR, null), EACCES, event())
        .refused("a block device", || mknod(&mine, libc::S_IFBLK, null), EACCES, event())
        .allowed("a whiteout", || mknod(&mine, libc::S_IFCHR, 0))
        .allowed("a plain file", || mknod(&mine, libc::S_IFREG, 0))
        .run();
}

#[test]
fn binding_a_unix_socket_makes_a_file() {
    let place = Place::on_disk("mknod_socket");
    let bound = |name: &str| -> Res {
        let socket = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
        bind(&socket, &Address::unix(place.at(name)))
    };
    let yours = place.at("yours");
    Trial::new(&place, POLICY)
        .prepare(|| {
            for name in ["yours", "mine"] {
                let _ = fs::remove_file(place.at(name));
            }
        })
        .refused("elsewhere", || bound("yours"), EACCES, denied(&yours, Rights::CREATE))
        .allowed("where things may be made", || bound("mine"))
        .run();
}

#[test]
fn a_creation_in_audit_mode_is_reported_once() {
    // By whichever of the two hooks knows first that the file is not there.
    for place in Place::both("mknod_audit") {
        let mut fence = Fence::up();
        let spec = "files:\n  - allow: [read, write]\n    paths: ['${dir}/**']";
        let agent = fence.auditing_agent(place.path(), spec);
        let mut child =
            fence.tagged(&agent, |step| touch(place.at(&format!("{}", step / 2)), CREATE));
        for step in 0..20 {
            assert_eq!(child.try_to(step), Ok(()));
            let new = place.at(&format!("{}", step / 2));
            let by_open = Expected::audit(Hook::FILE_OPEN, Rights::WRITE | Rights::CREATE)
                .because(Rights::CREATE)
                .path(&new);
            let by_mknod = Expected::audit(Hook::PATH_MKNOD, Rights::CREATE).path(&new);
            let seen = fence.seen(&agent, &child);
            match (step % 2, &seen[..]) {
                (0, [event]) => assert!(*event == by_open || *event == by_mknod, "{event:?}"),
                (1, []) => assert!(new.exists()),
                _ => panic!("step {step}: {seen:#?}"),
            }
        }
    }
}
