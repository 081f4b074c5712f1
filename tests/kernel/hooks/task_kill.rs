//! Signals.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::EPERM;
use crate::support::sys::process::{
    Ended, fork, in_child, kill, pid, pidfd, pidfd_kill, tgkill, wait,
};
use crate::support::trial::Trial;

/// A signal that does nothing to a process that does not wait for it.
const HARMLESS: i32 = libc::SIGURG;

/// Whom an agent may signal is no matter of policy yet.
const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']";

pub const CASE: Case = Case {
    hook: Hook::TASK_KILL,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| kill(parent(), HARMLESS),
    allowed: |_| kill(pid(), HARMLESS),
    event: |_| denied(),
    by_child: false,
};

/// The test itself, as seen from its child.
fn parent() -> i32 {
    std::os::unix::process::parent_id().cast_signed()
}

/// The event names the test.
fn denied() -> Expected {
    Expected::deny(Hook::TASK_KILL, Rights::PROCESS)
        .object(&ObjectSubject::process(std::process::id()))
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn every_way_to_send_a_signal_is_judged() {
    let place = Place::on_disk("kill_ways");
    Trial::new(&place, POLICY)
        .refused("a pidfd", || pidfd_kill(&pidfd(parent())?, HARMLESS), EPERM, denied())
        .refused("a thread", || tgkill(parent(), parent(), HARMLESS), EPERM, denied())
        .refused("SIGCONT", || kill(parent(), libc::SIGCONT), EPERM, denied())
        .allowed("asking whether it is there", || kill(parent(), 0))
        .run();
}

#[test]
fn an_agent_may_signal_its_own() {
    let place = Place::on_disk("kill_own");
    let end_child = || match fork()? {
        None => loop {
            std::thread::park();
        },
        Some(child) => {
            kill(child, libc::SIGKILL)?;
            assert_eq!(wait(child), Ok(Ended::Signal(libc::SIGKILL)));
            Ok(())
        }
    };
    Trial::new(&place, POLICY)
        .allowed("a child", end_child)
        .allowed("its parent", || in_child(|| kill(parent(), HARMLESS)))
        .run();
}
