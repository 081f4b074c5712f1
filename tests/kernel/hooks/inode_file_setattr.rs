//! Flags of files by the call that takes a path.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::hook_or;
use crate::support::place;
use crate::support::sys::attrs::{NODUMP, SETFLAGS, file_setattr, set_flags};
use crate::support::sys::files::open;
use crate::support::sys::{EACCES, EPERM, Errno, Res};

const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']
  - allow: [attr]
    paths: ['${dir}/mine']";

/// `FS_XFLAG_NODUMP` (`linux/fs.h`).
const XFLAG_NODUMP: u64 = 0x80;

/// By the newest way that the kernel has. Whoever refuses, it reads as one errno here.
fn set(path: &std::path::Path) -> Res {
    match file_setattr(path, XFLAG_NODUMP) {
        Err(Errno(libc::ENOSYS)) => match set_flags(&open(path, libc::O_RDONLY)?, NODUMP) {
            Err(EACCES) => Err(EPERM),
            answer => answer,
        },
        answer => answer,
    }
}

pub const CASE: Case = Case {
    hook: Hook::INODE_FILE_SETATTR,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        nothing()
    },
    denied: |dir| set(&dir.join("yours")),
    allowed: |dir| set(&dir.join("mine")),
    event: |dir| {
        let hook = hook_or(Hook::INODE_FILE_SETATTR, Hook::FILE_IOCTL);
        let event = Expected::deny(hook, Rights::ATTR).path(dir.join("yours"));
        match hook {
            Hook::FILE_IOCTL => event.other(&ObjectSubject::ioctl(SETFLAGS)),
            _ => event,
        }
    },
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
