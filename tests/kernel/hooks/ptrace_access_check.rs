//! Reaching into other processes.

use std::fs;

use sensor_ebpf::act::Act;
use sensor_ebpf::hook::Hook;

use crate::support::bystander::{self, Bystander};
use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{open, read, touch};
use crate::support::sys::kernel::BECOMES_USER;
use crate::support::sys::process::{
    advise, become_user, fork, in_child, kcmp, kill, peek, pid, pidfd, pidfd_getfd, seize, wait,
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
    event: |_| denied(Act::TRACE),
    by_child: false,
};

fn parent() -> i32 {
    std::os::unix::process::parent_id().cast_signed()
}

fn denied(act: Act) -> Expected {
    bystander::denied(Hook::PTRACE_ACCESS_CHECK, act, pid())
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
        .refused(
            "tracing",
            || seize(bystander.0),
            EPERM,
            bystander.denied(Hook::PTRACE_ACCESS_CHECK, Act::TRACE),
        )
        .refused("comparing", || kcmp(pid(), here), EPERM, denied(Act::INSPECT))
        .refused("taking a descriptor", || pidfd_getfd(&pidfd(here)?, 0), EPERM, denied(Act::TRACE))
        .refused("mem", || touch(of(here, "mem"), 0), EACCES, denied(Act::TRACE))
        .refused("cwd", || look(here, "cwd"), EACCES, denied(Act::INSPECT))
        .refused("exe", || look(here, "exe"), EACCES, denied(Act::INSPECT))
        .refused("a descriptor", || look(here, "fd/0"), EACCES, denied(Act::INSPECT))
        .allowed("a child's environ", || of_a_child(|child| touch(of(child, "environ"), 0)))
        .allowed("tracing a child", || of_a_child(seize))
        .run();
}

/// An ordinary user of the guest.
const USER: u32 = 1000;

#[test]
fn what_proc_shows_to_the_owner_is_judged() {
    let place = Place::on_disk("ptrace_proc");
    let bystander = Bystander::new(USER);
    let as_user = |what: fn(i32) -> Res| {
        let target = bystander.0;
        move || in_child(|| become_user(USER).and_then(|()| what(target)))
    };
    let policy = format!("{POLICY}\n{BECOMES_USER}");
    let event = |act| bystander.denied(Hook::PTRACE_ACCESS_CHECK, act).uid(USER);
    Trial::new(&place, &policy)
        .refused_to_child(
            "environ",
            as_user(|p| touch(of(p, "environ"), 0)),
            EACCES,
            event(Act::INSPECT),
        )
        .refused_to_child("maps", as_user(|p| touch(of(p, "maps"), 0)), EACCES, event(Act::INSPECT))
        .refused_to_child("root", as_user(|p| look(p, "root")), EACCES, event(Act::INSPECT))
        .refused_to_child("memory", as_user(|p| peek(p, &WORD).map(drop)), EPERM, event(Act::TRACE))
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

#[test]
fn a_policy_may_let_an_agent_look_and_not_touch() {
    let place = Place::on_disk("ptrace_inspect");
    let bystander = Bystander::new(0);
    let target = bystander.0;
    let policy = format!("{POLICY}\nprocess:\n  - allow: [inspect]");
    Trial::new(&place, &policy)
        .allowed("environ", || touch(of(target, "environ"), 0))
        .allowed("exe", || look(target, "exe"))
        .allowed("comparing", || kcmp(pid(), target))
        .refused(
            "tracing",
            || seize(target),
            EPERM,
            bystander.denied(Hook::PTRACE_ACCESS_CHECK, Act::TRACE),
        )
        .refused(
            "memory",
            || peek(target, &WORD).map(drop),
            EPERM,
            bystander.denied(Hook::PTRACE_ACCESS_CHECK, Act::TRACE),
        )
        .run();
}

#[test]
fn who_may_trace_may_also_look() {
    let place = Place::on_disk("ptrace_trace");
    let bystander = Bystander::new(0);
    let target = bystander.0;
    let policy = format!("{POLICY}\nprocess:\n  - allow: [trace]");
    Trial::new(&place, &policy)
        .allowed("environ", || touch(of(target, "environ"), 0))
        .allowed("tracing", || seize(target))
        .run();
}

#[test]
fn root_of_an_agent_sees_no_environment_of_others_on_any_kernel() {
    // Where this hook refuses, 7.3 shows it all the same to whoever has CAP_PERFMON (`may_access_mm`).
    let place = Place::on_disk("ptrace_perfmon");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let path = of(pid(), "environ");
    let mut child = fence.tagged(&agent, |_| touch(&path, 0));
    assert_eq!(child.try_to(0), Err(EACCES));
    let hooks: Vec<_> = fence.events(&agent).iter().map(|event| event.hook).collect();
    assert_eq!(hooks.first(), Some(&Hook::PTRACE_ACCESS_CHECK), "{hooks:?}");
    assert!(hooks[1..].iter().all(|hook| *hook == Hook::CAPABLE), "{hooks:?}");
}

#[test]
fn advice_on_the_memory_of_others_is_judged() {
    // 7.3 then asks for CAP_PERFMON, which is refused as well.
    let place = Place::on_disk("ptrace_advice");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let here = pid();
    let advised = |_: u32| -> Res { advise(&pidfd(here)?, &WORD) };
    assert_eq!(fence.child(advised).try_to(0), Ok(()));
    let mut inside = fence.tagged(&agent, advised);
    assert_eq!(inside.try_to(0), Err(EACCES));
    let events = fence.events(&agent);
    assert_eq!(events.first().map(|event| event.hook), Some(Hook::PTRACE_ACCESS_CHECK));
}
