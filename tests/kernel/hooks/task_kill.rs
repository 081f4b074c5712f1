//! Signals.

use sensor_ebpf::act::Act;
use sensor_ebpf::hook::Hook;

use crate::support::bystander::{self, Bystander};
use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::EPERM;
use crate::support::sys::process::{
    Ended, fork, in_child, kill, pid, pidfd, pidfd_kill, queue_signal, set_group, tgkill, wait,
};
use crate::support::trial::Trial;

/// A signal that does nothing to a process that does not wait for it.
const HARMLESS: i32 = libc::SIGURG;

/// Nobody outside may be signalled.
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
    bystander::denied(Hook::TASK_KILL, Act::SIGNAL, pid())
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
        .refused("a queued one", || queue_signal(parent(), HARMLESS), EPERM, denied())
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

#[test]
fn a_policy_may_let_an_agent_signal_whom_nobody_has_tagged() {
    let place = Place::on_disk("kill_allowed");
    let bystander = Bystander::new(0);
    let target = bystander.0;
    let policy = format!("{POLICY}\nprocess:\n  - allow: [signal]");
    Trial::new(&place, &policy)
        .allowed("one that nobody has tagged", || kill(target, HARMLESS))
        .refused("picket", || kill(parent(), HARMLESS), EPERM, denied())
        .run();
}

#[test]
fn a_policy_may_report_signals() {
    let place = Place::on_disk("kill_audited");
    let bystander = Bystander::new(0);
    let target = bystander.0;
    let policy = format!("{POLICY}\nprocess:\n  - audit: [signal]\n    reason: tests");
    let event = Expected::audit(Hook::TASK_KILL, sensor_ebpf::rights::Rights::PROCESS)
        .object(&sensor_ebpf::subject::ObjectSubject::process(Act::SIGNAL, target.unsigned_abs()));
    Trial::new(&place, &policy)
        .reported("a signal", || kill(target, HARMLESS), event.rule(5))
        .run();
}

#[test]
fn no_policy_lets_an_agent_signal_another_agent() {
    let place = Place::on_disk("kill_agents");
    let policy = format!("{POLICY}\nprocess:\n  - allow: [all]\ncapabilities:\n  - allow: [all]");
    let mut fence = Fence::up();
    let (one, other) = (fence.agent(place.path(), &policy), fence.agent(place.path(), &policy));
    let mut target = fence.tagged(&other, |_| Ok(()));
    let pid = target.pid();
    let mut inside = fence.child(|_| kill(pid, HARMLESS));
    assert_eq!(inside.try_to(0), Ok(()), "before");
    inside.tag(one.tag);
    assert_eq!(inside.try_to(0), Err(EPERM));
    fence.expect(&one, &inside, &[bystander::denied(Hook::TASK_KILL, Act::SIGNAL, pid)]);
    assert_eq!(target.try_to(0), Ok(()), "it lives");
}

#[test]
fn picket_is_out_of_reach_also_where_everything_is_only_reported() {
    let place = Place::on_disk("kill_sentry");
    let mut fence = Fence::up();
    let agent = fence.auditing_agent(place.path(), POLICY);
    let mut inside = fence.tagged(&agent, |_| kill(parent(), HARMLESS));
    assert_eq!(inside.try_to(0), Err(EPERM));
    fence.expect(&agent, &inside, &[denied()]);
}

#[test]
fn of_a_mixed_group_only_ones_own_are_signalled() {
    let place = Place::on_disk("kill_group");
    let bystander = Bystander::new(0);
    let target = bystander.0;
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    // The bystander's group; a member by the time that it is signalled.
    let mut inside = fence.child(|_| kill(-target, libc::SIGTERM).map(|()| 0_i64));
    set_group(target, target).unwrap();
    set_group(inside.pid(), target).unwrap();
    inside.tag(agent.tag);
    // The signal reaches the sender itself, which it ends.
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inside.try_to(0)));
    assert!(ended.is_err(), "its own process was signalled");
    assert!(bystander.lives(), "and the other was not");
    let events = fence.events(&agent);
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.hook, event.header.errno), (Hook::TASK_KILL, libc::EPERM as u32));
}

#[test]
fn a_signal_to_everybody_reaches_nobody_outside() {
    let place = Place::on_disk("kill_all");
    let bystander = Bystander::new(0);
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut inside = fence.tagged(&agent, |_| kill(-1, libc::SIGKILL));
    // That somebody may not be signalled is no error of `kill(-1)`.
    assert_eq!(inside.try_to(0), Ok(()));
    assert!(bystander.lives());
    let events = fence.events(&agent);
    assert!(events.iter().all(|event| event.hook == Hook::TASK_KILL) && !events.is_empty());
}
