//! The kernel's log.

use sensor_ebpf::capability::Capability;
use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::Case;
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::EPERM;
use crate::support::sys::files::touch;
use crate::support::sys::kernel::{Setting, log_size};
use crate::support::trial::Trial;

/// Not a restricted one either, which every user may read.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']";

pub const CASE: Case = Case {
    hook: Hook::SYSLOG,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| Box::new(Setting::set("/proc/sys/kernel/dmesg_restrict", "0")),
    denied: |_| log_size(),
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| {
        Expected::deny(Hook::SYSLOG, Rights::KERNEL)
            .object(&ObjectSubject::capability(Capability::SYSLOG))
    },
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn the_capability_opens_it() {
    let place = Place::on_disk("syslog_allowed");
    let policy = "capabilities:\n  - allow: [syslog]";
    Trial::new(&place, policy).allowed("its size", log_size).run();
}
