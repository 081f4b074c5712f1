//! Mounts, roots and namespaces.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use super::owned;
use crate::support::sys::files::HERE;
use crate::support::sys::{Ref, Res, c_path, c_text, sys};

/// `unshare(2)`.
pub fn unshare(what: i32) -> Res {
    sys!(SYS_unshare, what).map(drop)
}

/// `move_mount(2)` of a mount that hangs nowhere.
pub fn hang(mount: &OwnedFd, at: &Path) -> Res {
    const F_EMPTY_PATH: u32 = 4;
    sys!(SYS_move_mount, mount.as_raw_fd(), c_text(""), HERE, c_path(at), F_EMPTY_PATH).map(drop)
}

/// `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`: a file system that hangs nowhere.
pub fn detached(kind: &str) -> Res<OwnedFd> {
    const CMD_CREATE: u32 = 6;
    let context = owned(sys!(SYS_fsopen, c_text(kind), 0)?);
    sys!(SYS_fsconfig, context.as_raw_fd(), CMD_CREATE, 0, 0, 0)?;
    sys!(SYS_fsmount, context.as_raw_fd(), 0, 0).map(owned)
}

/// `mount_setattr(2)`: clears the read-only flag of a mount.
pub fn set_mount_flags(at: &Path) -> Res {
    // `struct mount_attr`: set, clear, propagation, user namespace.
    let attributes = [0_u64, 1, 0, 0];
    let size = size_of_val(&attributes);
    sys!(SYS_mount_setattr, HERE, c_path(at), 0, Ref(&attributes), size).map(drop)
}
