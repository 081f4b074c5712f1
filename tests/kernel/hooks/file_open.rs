//! Opening what has a name, by every way to open it.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place;
use crate::support::sys::EACCES;
use crate::support::sys::files::touch;

pub const CASE: Case = Case {
    hook: Hook::FILE_OPEN,
    errno: EACCES,
    policy: "\
files:
  - allow: [read]
    paths: ['${dir}/*']
  - deny: [read]
    paths: ['${dir}/secret']
    reason: it is secret",
    prepare: |dir| {
        place::file(dir, "secret");
        place::file(dir, "public");
        nothing()
    },
    denied: |dir| touch(dir.join("secret"), libc::O_RDONLY),
    allowed: |dir| touch(dir.join("public"), libc::O_RDONLY),
    event: |dir| Expected::deny(Hook::FILE_OPEN, Rights::READ).path(dir.join("secret")).rule(5),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
