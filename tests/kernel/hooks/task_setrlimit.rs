//! Limits of other processes.

use sensor_ebpf::act::Act;
use sensor_ebpf::hook::Hook;

use crate::support::bystander::{self, Bystander};
use crate::support::case::{Case, nothing};
use crate::support::place::Place;
use crate::support::sys::EPERM;
use crate::support::sys::process::{keep_limit, pid, read_limit};
use crate::support::trial::Trial;

/// Nothing may be done to anybody outside.
const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']";

pub const CASE: Case = Case {
    hook: Hook::TASK_SETRLIMIT,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| keep_limit(parent()),
    allowed: |_| keep_limit(pid()),
    event: |_| bystander::denied(Hook::TASK_SETRLIMIT, Act::LIMIT, pid()),
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
    let place = Place::on_disk("task_setrlimit_allowed");
    let bystander = Bystander::new(0);
    let policy = format!("{POLICY}\nprocess:\n  - allow: [limit]");
    Trial::new(&place, &policy).allowed("a bystander", || keep_limit(bystander.0)).run();
}

#[test]
fn limits_may_be_read() {
    let place = Place::on_disk("task_setrlimit_read");
    let bystander = Bystander::new(0);
    Trial::new(&place, POLICY).allowed("reading", || read_limit(bystander.0)).run();
}
