//! Modules from files.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place;
use crate::support::sys::EPERM;
use crate::support::sys::files::touch;
use crate::support::sys::kernel::load_module;

/// No policy can allow it.
const POLICY: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
capabilities:
  - allow: [all]";

pub const CASE: Case = Case {
    hook: Hook::KERNEL_READ_FILE,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "module");
        nothing()
    },
    denied: |dir| load_module(&dir.join("module")),
    allowed: |dir| touch(dir.join("module"), libc::O_RDONLY),
    event: |_| Expected::deny(Hook::KERNEL_READ_FILE, Rights::KERNEL),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
