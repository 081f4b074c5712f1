//! Schedulers and processors of other processes.

use sensor_ebpf::act::Act;
use sensor_ebpf::hook::Hook;

use crate::support::bystander::{self, Bystander};
use crate::support::case::{Case, nothing};
use crate::support::place::Place;
use crate::support::sys::EPERM;
use crate::support::sys::process::{keep_processors, keep_scheduler, pid};
use crate::support::trial::Trial;

/// Nothing may be done to anybody outside.
const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']";

pub const CASE: Case = Case {
    hook: Hook::TASK_SETSCHEDULER,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| keep_processors(parent()),
    allowed: |_| keep_processors(pid()),
    event: |_| bystander::denied(Hook::TASK_SETSCHEDULER, Act::SCHEDULE, pid()),
    by_child: false,
};

/// The test itself, as seen from its child.
fn parent() -> i32 {
    std::os::unix::process::parent_id().cast_signed()
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn a_policy_may_allow_it() {
    let place = Place::on_disk("task_setscheduler_allowed");
    let bystander = Bystander::new(0);
    let policy = format!("{POLICY}\nprocess:\n  - allow: [schedule]");
    Trial::new(&place, &policy).allowed("a bystander", || keep_processors(bystander.0)).run();
}

#[test]
fn every_way_to_another_scheduler_is_judged() {
    let place = Place::on_disk("task_setscheduler_ways");
    let bystander = Bystander::new(0);
    let event = bystander.denied(Hook::TASK_SETSCHEDULER, Act::SCHEDULE);
    Trial::new(&place, POLICY)
        .refused("sched_setscheduler", || keep_scheduler(bystander.0), EPERM, event)
        .allowed("one's own", || keep_scheduler(0))
        .run();
}
