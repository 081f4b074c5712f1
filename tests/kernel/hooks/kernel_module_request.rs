//! Modules that the kernel asks for.

use std::any::Any;
use std::fs;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{KIND_MODULE, ObjectSubject};

use crate::support::case::Case;
use crate::support::expect::Expected;
use crate::support::place;
use crate::support::sys::files::{mknod, open, touch};
use crate::support::sys::kernel::Setting;
use crate::support::sys::{EPERM, Errno, Res};

/// A number that no driver has (`admin-guide/devices.txt`: local use).
const MAJOR: u32 = 60;

pub const CASE: Case = Case {
    hook: Hook::KERNEL_MODULE_REQUEST,
    errno: EPERM,
    policy: "\
files:
  - allow: [read, list]
    paths: ['/**']
devices:
  - allow: ['${dir}/device']
capabilities:
  - allow: [all]",
    prepare,
    denied: open_device,
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| Expected::deny(Hook::KERNEL_MODULE_REQUEST, Rights::KERNEL).object(&module()),
    by_child: false,
};

/// A device without a driver, and a `modprobe` that leaves a trace.
fn prepare(dir: &Path) -> Box<dyn Any> {
    let (device, trace) = (dir.join("device"), dir.join("trace"));
    for old in [&device, &trace] {
        let _ = fs::remove_file(old);
    }
    mknod(&device, libc::S_IFCHR | 0o600, (MAJOR << 8).into()).unwrap();
    let script = format!("#!/bin/sh\n: > {}\n", trace.display());
    let program = place::program(dir, "modprobe", script.as_bytes());
    Box::new(Setting::set("/proc/sys/kernel/modprobe", program.to_str().unwrap()))
}

/// Opens the device; that there is no driver is known. What counts is whether `modprobe` has run.
fn open_device(dir: &Path) -> Res {
    let opened = open(dir.join("device"), libc::O_RDONLY).map(drop);
    assert_eq!(opened, Err(Errno(libc::ENXIO)));
    touch(dir.join("trace"), libc::O_RDONLY).map_err(|_| EPERM)
}

fn module() -> ObjectSubject {
    let mut subject = ObjectSubject::new();
    let name = format!("char-major-{MAJOR}-0");
    subject.bytes[0] = KIND_MODULE;
    subject.bytes[1..=name.len()].copy_from_slice(name.as_bytes());
    subject.len = name.len() as u32 + 1;
    subject
}

#[test]
fn before_inside_outside() {
    CASE.check();
}
