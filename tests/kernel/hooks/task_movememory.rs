//! Moving the memory of other processes.

use sensor_ebpf::act::Act;
use sensor_ebpf::hook::Hook;

use crate::support::bystander::{self, Bystander};
use crate::support::case::Case;
use crate::support::sys::EPERM;
use crate::support::sys::process::{move_no_pages, pid};

/// That a process may be looked into is asked before.
pub const CASE: Case = Case {
    hook: Hook::TASK_MOVEMEMORY,
    errno: EPERM,
    policy: "\
files:
  - allow: [read]
    paths: ['${dir}/*']
process:
  - allow: [inspect]",
    prepare: |dir| Box::new(Bystander::noted(dir)),
    denied: |dir| move_no_pages(Bystander::pid_in(dir)),
    allowed: |_| move_no_pages(pid()),
    event: |dir| bystander::denied(Hook::TASK_MOVEMEMORY, Act::SCHEDULE, Bystander::pid_in(dir)),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
