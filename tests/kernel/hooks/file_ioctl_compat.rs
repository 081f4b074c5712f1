//! Commands as 32-bit programs give them, which have a hook of their own.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::hook_or;
use crate::support::place;
use crate::support::sys::attrs::ioctl_32;
use crate::support::sys::files::open;
use crate::support::sys::{EACCES, Errno, Res};

const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']";

/// Thaws a file system (`linux/fs.h`); that this one is not frozen is an error that shows that it was
/// asked.
const FITHAW: u32 = 0xc004_5878;
const FIOCLEX: u32 = 0x5451;

pub const CASE: Case = Case {
    hook: Hook::FILE_IOCTL_COMPAT,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "f");
        nothing()
    },
    denied: |dir| match ioctl_32(&open(dir.join("f"), libc::O_RDONLY)?, FITHAW, 0) {
        // It was not frozen.
        Err(Errno(libc::EINVAL)) => Ok(()),
        answer => answer.map(drop),
    },
    allowed: |dir| -> Res { ioctl_32(&open(dir.join("f"), libc::O_RDONLY)?, FIOCLEX, 0).map(drop) },
    event: |dir| {
        Expected::deny(hook_or(Hook::FILE_IOCTL_COMPAT, Hook::FILE_IOCTL), Rights::KERNEL)
            .path(dir.join("f"))
            .other(&ObjectSubject::ioctl(FITHAW))
    },
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
