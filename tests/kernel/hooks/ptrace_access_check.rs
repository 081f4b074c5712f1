//! Reaching into other processes.

use std::fs;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{open, pipe, read, read_next, touch, write};
use crate::support::sys::process::{
    become_user, fork, in_child, kcmp, kill, peek, pid, pidfd, pidfd_getfd, seize, set_dumpable,
    wait,
};
use crate::support::sys::{EACCES, EPERM, Errno, Res};
use crate::support::trial::Trial;

/// That the files in /proc may be opened is not enough.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/proc/**']";

/// Something to look at.
static WORD: u64 = 0x5049_434b_4554;

pub const CASE: Case = Case {
    hook: Hook::PTRACE_ACCESS_CHECK,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| peek(parent(), &WORD).map(|word| assert_eq!(word, WORD)),
    allowed: |_| of_a_child(|child| peek(child, &WORD).map(|word| assert_eq!(word, WORD))),
    event: |_| denied(),
    by_child: false,
};

fn parent() -> i32 {
    std::os::unix::process::parent_id().cast_signed()
}

fn denied() -> Expected {
    Expected::deny(Hook::PTRACE_ACCESS_CHECK, Rights::PROCESS)
        .object(&ObjectSubject::process(std::process::id()))
}

/// Does something to a child of one's own.
fn of_a_child(what: impl FnOnce(i32) -> Res) -> Res {
    match fork()? {
        None => loop {
            std::thread::park();
        },
        Some(child) => {
            let done = what(child);
            kill(child, libc::SIGKILL)?;
            wait(child)?;
            done
        }
    }
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn every_way_into_a_process_is_judged() {
    let place = Place::on_disk("ptrace_ways");
    let bystander = Bystander::new(0);
    let here = pid();
    Trial::new(&place, POLICY)
        .refused("tracing", || seize(bystander.0), EPERM, bystander.denied())
        .refused("comparing", || kcmp(pid(), here), EPERM, denied())
        .refused("taking a descriptor", || pidfd_getfd(&pidfd(here)?, 0), EPERM, denied())
        .refused("mem", || touch(of(here, "mem"), 0), EACCES, denied())
        .refused("cwd", || look(here, "cwd"), EACCES, denied())
        .refused("exe", || look(here, "exe"), EACCES, denied())
        .refused("a descriptor", || look(here, "fd/0"), EACCES, denied())
        .allowed("a child's environ", || of_a_child(|child| touch(of(child, "environ"), 0)))
        .allowed("tracing a child", || of_a_child(seize))
        .run();
}

/// An ordinary user of the guest. Not root: since it has CAP_PERFMON, 7.3 shows it `environ` and `maps`
/// even where this hook refuses (`kernel/fork.c:may_access_mm`), so that only rules on files keep
/// root from them.
const USER: u32 = 1000;

#[test]
fn what_proc_shows_to_the_owner_is_judged() {
    let place = Place::on_disk("ptrace_proc");
    let bystander = Bystander::new(USER);
    let as_user = |what: fn(i32) -> Res| {
        let target = bystander.0;
        move || in_child(|| become_user(USER).and_then(|()| what(target)))
    };
    let event = || bystander.denied().uid(USER);
    Trial::new(&place, POLICY)
        .refused_to_child("environ", as_user(|p| touch(of(p, "environ"), 0)), EACCES, event())
        .refused_to_child("maps", as_user(|p| touch(of(p, "maps"), 0)), EACCES, event())
        .refused_to_child("root", as_user(|p| look(p, "root")), EACCES, event())
        .refused_to_child("memory", as_user(|p| peek(p, &WORD).map(drop)), EPERM, event())
        .run();
}

/// A file of a process in /proc.
fn of(process: i32, what: &str) -> String {
    format!("/proc/{process}/{what}")
}

/// Follows a link of a process in /proc.
fn look(process: i32, what: &str) -> Res {
    let looked = fs::read_link(of(process, what));
    looked.map(drop).map_err(|error| Errno(error.raw_os_error().unwrap_or(0)))
}

/// A process that does nothing, and is not the test: tracing that would stop it.
struct Bystander(i32);

impl Bystander {
    /// Of this user, and open to others of the same.
    fn new(user: u32) -> Bystander {
        let (ready_out, ready) = pipe().unwrap();
        let pid = match fork().unwrap() {
            None => {
                let ready = become_user(user)
                    .and_then(|()| set_dumpable())
                    .and_then(|()| write(&ready, b"!"));
                assert!(ready.is_ok(), "{ready:?}");
                loop {
                    std::thread::park();
                }
            }
            Some(pid) => pid,
        };
        assert_eq!(read_next(&ready_out, &mut [0]), Ok(1));
        Bystander(pid)
    }

    /// The event of what is refused on it.
    fn denied(&self) -> Expected {
        Expected::deny(Hook::PTRACE_ACCESS_CHECK, Rights::PROCESS)
            .object(&ObjectSubject::process(self.0.cast_unsigned()))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        kill(self.0, libc::SIGKILL).unwrap();
        wait(self.0).unwrap();
    }
}

#[test]
fn what_the_kernel_only_leaves_out_is_no_violation() {
    // /proc/PID/stat shows some fields to those only who may look, and zeros to others.
    let place = Place::on_disk("ptrace_stat");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let path = format!("/proc/{}/stat", pid());
    let mut child = fence.tagged(&agent, |_| Ok(read(&open(&path, libc::O_RDONLY)?)?.len() as i64));
    assert!(child.run(0).unwrap() > 50);
    fence.quiet(&agent);
}
