//! Signals that come with input.

use sensor_ebpf::act::Act;
use sensor_ebpf::hook::Hook;

use crate::support::bystander::{self, Bystander};
use crate::support::case::{Case, nothing};
use crate::support::place::Place;
use crate::support::sys::files::pipe;
use crate::support::sys::kernel::{own_by, own_by_structure, signal_by_input};
use crate::support::sys::process::{in_child, pid};
use crate::support::sys::{EPERM, Res};
use crate::support::trial::Trial;

/// Not even where signals are allowed.
const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']
process:
  - allow: [signal]
capabilities:
  - allow: [kill]";

pub const CASE: Case = Case {
    hook: Hook::FILE_FCNTL,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| own(parent()),
    allowed: |_| own(pid()),
    event: |_| bystander::denied(Hook::FILE_FCNTL, Act::SIGNAL, pid()),
    by_child: false,
};

fn own(owner: i32) -> Res {
    own_by(&pipe()?.0, owner)
}

fn parent() -> i32 {
    std::os::unix::process::parent_id().cast_signed()
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn nobody_else_gets_a_signal_by_a_descriptor() {
    let place = Place::on_disk("file_fcntl_ways");
    let bystander = Bystander::new(0);
    let target = bystander.0;
    let event = |pid| bystander::denied(Hook::FILE_FCNTL, Act::SIGNAL, pid);
    let harmless = libc::SIGURG;
    Trial::new(&place, POLICY)
        .refused("the whole of it", || signal_by_input(target, harmless), EPERM, event(target))
        .refused("a group", || own(-target), EPERM, event(target))
        .refused("a structure", || own_by_structure(&pipe()?.0, target), EPERM, event(0))
        .allowed("nobody", || own(0))
        .allowed("in a child, oneself", || in_child(|| own(pid())))
        .run();
    assert!(bystander.lives());
}
