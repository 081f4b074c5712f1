//! Using what was opened before the tag, for an agent that is to be cut off from it.

use std::os::fd::OwnedFd;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::expect::Expected;
use crate::support::fence::{Fence, hook_or};
use crate::support::place::Place;
use crate::support::sys::files::{ftruncate, list, memfd, open, pipe, read, write};
use crate::support::sys::memory::{map, map_shared};
use crate::support::sys::{EACCES, Errno, Res};

const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/public']
  - allow: [write]
    paths: ['${dir}/own']";

const READ: u32 = 0;
const WRITE: u32 = 1;
const TRUNCATE: u32 = 2;
const LIST: u32 = 3;
const MAP: u32 = 4;
const MAP_SHARED: u32 = 5;
const PUBLIC: u32 = 6;
const OWN: u32 = 7;
const PIPE: u32 = 8;
const MEMORY: u32 = 9;
const TERMINAL: u32 = 10;

struct Kept {
    secret: OwnedFd,
    public: OwnedFd,
    own: OwnedFd,
    dir: OwnedFd,
    pipe: (OwnedFd, OwnedFd),
    memory: OwnedFd,
    terminal: OwnedFd,
}

impl Kept {
    fn new(place: &Place) -> Kept {
        let opened = |name, flags| open(place.file(name), flags).unwrap();
        Kept {
            secret: opened("secret", libc::O_RDWR),
            public: opened("public", libc::O_RDONLY),
            own: opened("own", libc::O_WRONLY),
            dir: open(place.path(), libc::O_DIRECTORY).unwrap(),
            pipe: pipe().unwrap(),
            memory: memfd("m").unwrap(),
            terminal: open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY).unwrap(),
        }
    }

    fn step(&self, step: u32) -> Res {
        match step {
            READ => read(&self.secret).map(drop),
            WRITE => write(&self.secret, b"x"),
            TRUNCATE => ftruncate(&self.secret, 1),
            LIST => list(&self.dir),
            MAP => map(&self.secret, libc::PROT_READ).map(drop),
            MAP_SHARED => map_shared(&self.secret, libc::PROT_READ).map(drop),
            PUBLIC => read(&self.public).map(drop),
            OWN => write(&self.own, b"x"),
            PIPE => write(&self.pipe.1, b"x"),
            MEMORY => write(&self.memory, b"x"),
            TERMINAL => write(&self.terminal, b"x"),
            _ => Err(Errno(libc::EINVAL)),
        }
    }
}

#[test]
fn an_agent_that_is_cut_off_uses_only_what_it_might_open() {
    let place = Place::on_disk("permission");
    let kept = Kept::new(&place);
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut child = fence.child(|step| kept.step(step));
    let every = READ..=TERMINAL;
    let denied = |hook, rights| Expected::deny(hook, rights).path(place.at("secret"));
    for step in every.clone() {
        assert_eq!(child.try_to(step), Ok(()), "step {step} without a tag");
    }
    child.tag(agent.tag);
    // 6.1 judges every truncation by the same hook.
    let truncation = hook_or(Hook::FILE_TRUNCATE, Hook::PATH_TRUNCATE);
    let judged_anyway = |step| step == TRUNCATE && truncation == Hook::PATH_TRUNCATE;
    for step in every.clone().filter(|step| !judged_anyway(*step)) {
        assert_eq!(child.try_to(step), Ok(()), "step {step} of an agent that keeps what it has");
    }
    fence.quiet(&agent);
    let mut other = fence.child(|step| kept.step(step));
    fence.cut_off(&agent);
    for (step, event) in [
        (READ, denied(Hook::FILE_PERMISSION, Rights::READ)),
        (WRITE, denied(Hook::FILE_PERMISSION, Rights::WRITE)),
        (TRUNCATE, denied(truncation, Rights::WRITE)),
        (LIST, Expected::deny(Hook::FILE_PERMISSION, Rights::LIST).path(place.path())),
        (MAP, denied(Hook::MMAP_FILE, Rights::READ)),
        (MAP_SHARED, denied(Hook::MMAP_FILE, Rights::READ | Rights::WRITE)),
    ] {
        assert_eq!(child.try_to(step), Err(EACCES), "step {step} cut off");
        fence.expect(&agent, &child, &[event]);
    }
    for step in PUBLIC..=TERMINAL {
        assert_eq!(child.try_to(step), Ok(()), "step {step} cut off");
    }
    fence.quiet(&agent);
    for step in every.clone() {
        assert_eq!(other.try_to(step), Ok(()), "step {step} of a process without a tag");
    }
    fence.let_keep(&agent);
    for step in every.filter(|step| !judged_anyway(*step)) {
        assert_eq!(child.try_to(step), Ok(()), "step {step} when it is over");
    }
    fence.quiet(&agent);
}
