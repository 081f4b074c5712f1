//! Being traced by a parent outside.

use std::path::Path;

use sensor_ebpf::act::Act;
use sensor_ebpf::hook::Hook;

use crate::support::bystander;
use crate::support::case::{Case, nothing};
use crate::support::sys::files::{pipe, read_next, write};
use crate::support::sys::process::{clone, exit, in_child, pid, trace_me};
use crate::support::sys::{EPERM, Errno, Res};

pub const CASE: Case = Case {
    hook: Hook::PTRACE_TRACEME,
    errno: EPERM,
    policy: "\
files:
  - allow: [read]
    paths: ['${dir}/*']",
    prepare: |_| nothing(),
    denied: sibling,
    allowed: |_| in_child(trace_me),
    event: |_| bystander::denied(Hook::PTRACE_TRACEME, Act::TRACE, pid()),
    by_child: true,
};

/// Asks in a process whose parent is the test: `CLONE_PARENT` makes a sibling.
fn sibling(_: &Path) -> Res {
    let (answers, answer) = pipe()?;
    if clone(libc::CLONE_PARENT)?.is_none() {
        let errno = trace_me().map_or_else(|errno| errno.0, |()| 0);
        let told = write(&answer, &errno.to_le_bytes());
        exit(i32::from(told.is_err()))
    }
    let mut errno = [0; 4];
    assert_eq!(read_next(&answers, &mut errno), Ok(4));
    match i32::from_le_bytes(errno) {
        0 => Ok(()),
        errno => Err(Errno(errno)),
    }
}

#[test]
fn before_inside_outside() {
    CASE.check();
}
