//! Nice values of other processes.

use sensor_ebpf::act::Act;
use sensor_ebpf::hook::Hook;

use crate::support::bystander::{self, Bystander};
use crate::support::case::{Case, nothing};
use crate::support::place::Place;
use crate::support::sys::EPERM;
use crate::support::sys::process::{keep_nice, pid};
use crate::support::trial::Trial;

/// Nothing may be done to anybody outside.
const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']";

pub const CASE: Case = Case {
    hook: Hook::TASK_SETNICE,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| keep_nice(parent()),
    allowed: |_| keep_nice(pid()),
    event: |_| bystander::denied(Hook::TASK_SETNICE, Act::SCHEDULE, pid()),
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
    let place = Place::on_disk("task_setnice_allowed");
    let bystander = Bystander::new(0);
    let policy = format!("{POLICY}\nprocess:\n  - allow: [schedule]");
    Trial::new(&place, &policy).allowed("a bystander", || keep_nice(bystander.0)).run();
}
