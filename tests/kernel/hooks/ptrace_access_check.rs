//! Reaching into other processes.

use std::fs;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{open, read, touch};
use crate::support::sys::process::{fork, kcmp, kill, peek, pid, pidfd, pidfd_getfd, seize, wait};
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
    let of_parent = |what: &str| format!("/proc/{}/{what}", parent());
    let looked = |what: &str| match fs::read_link(of_parent(what)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Errno(error.raw_os_error().unwrap_or(0))),
    };
    let here = pid();
    let bystander = Bystander::new();
    let other = bystander.0;
    let of_other = Expected::deny(Hook::PTRACE_ACCESS_CHECK, Rights::PROCESS)
        .object(&ObjectSubject::process(other.cast_unsigned()));
    Trial::new(&place, POLICY)
        .refused("tracing", || seize(other), EPERM, of_other)
        .refused("comparing", || kcmp(pid(), here), EPERM, denied())
        .refused("taking a descriptor", || pidfd_getfd(&pidfd(here)?, 0), EPERM, denied())
        // Not `environ` and `maps`: on 7.x CAP_PERFMON, which root has, opens them without asking
        // this hook (`kernel/fork.c:may_access_mm`), so only rules on files keep root from them.
        .refused("mem", || touch(of_parent("mem"), 0), EACCES, denied())
        .refused("cwd", || looked("cwd"), EACCES, denied())
        .refused("exe", || looked("exe"), EACCES, denied())
        .refused("a descriptor", || looked("fd/0"), EACCES, denied())
        .allowed("a child's environ", || {
            of_a_child(|child| touch(format!("/proc/{child}/environ"), 0))
        })
        .allowed("tracing a child", || of_a_child(seize))
        .run();
}

/// A process that does nothing, and is not the test: tracing that would stop it.
struct Bystander(i32);

impl Bystander {
    fn new() -> Bystander {
        match fork().unwrap() {
            None => loop {
                std::thread::park();
            },
            Some(pid) => Bystander(pid),
        }
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
