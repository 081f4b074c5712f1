//! Mounts and roots.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use super::files::{HERE, mount, umount, unshare_mounts};
use super::{Res, c_path, c_text, sys};

/// Runs `body` in a mount namespace of the process's own, so that what it mounts is seen by nobody
/// else and goes with the process.
pub fn in_own_mounts(body: impl FnOnce() -> Res) -> Res {
    unshare_mounts()?;
    body()
}

/// `unshare(2)` of the user namespace.
pub fn unshare_users() -> Res {
    sys!(SYS_unshare, libc::CLONE_NEWUSER).map(drop)
}

/// `setns(2)`, by a file of a namespace or by a process.
pub fn setns(namespace: &OwnedFd, kinds: i32) -> Res {
    sys!(SYS_setns, namespace.as_raw_fd(), kinds).map(drop)
}

/// Mounts a directory on itself (`mount(2)`, `MS_BIND`).
pub fn bind(dir: &Path) -> Res {
    mount(dir, dir, "", libc::MS_BIND, "")
}

/// Makes a file system read-only (`fspick(2)`, `fsconfig(2)`): the way that does not pass by
/// `mount(2)`.
pub fn remount(at: &Path) -> Res {
    const FSPICK_CLOEXEC: u32 = 1;
    const FSCONFIG_SET_FLAG: u32 = 0;
    const FSCONFIG_CMD_RECONFIGURE: u32 = 7;
    let context = sys!(SYS_fspick, HERE, c_path(at), FSPICK_CLOEXEC)?;
    sys!(SYS_fsconfig, context, FSCONFIG_SET_FLAG, c_text("ro"), 0, 0)?;
    sys!(SYS_fsconfig, context, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0).map(drop)
}

/// `move_mount(2)` by path.
pub fn move_mount(from: &Path, to: &Path) -> Res {
    sys!(SYS_move_mount, HERE, c_path(from), HERE, c_path(to), 0).map(drop)
}

/// `pivot_root(2)` to a [`Tmpfs`].
pub fn pivot_root(to: &Path) -> Res {
    sys!(SYS_pivot_root, c_text(to), c_path(to.join(OLD))).map(drop)
}

/// Where the old root goes.
const OLD: &str = "old";

/// A tmpfs, taken off when dropped.
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts one at `m` in a directory.
    pub fn within(dir: &Path) -> Tmpfs {
        let at = dir.join("m");
        std::fs::create_dir_all(&at).unwrap();
        assert_eq!(mount("none", &at, "tmpfs", 0, ""), Ok(()), "mounting a tmpfs");
        std::fs::create_dir(at.join(OLD)).unwrap();
        Tmpfs(at)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let taken_off = umount(&self.0, libc::MNT_DETACH);
        assert!(taken_off.is_ok() || std::thread::panicking(), "{taken_off:?}");
    }
}

/// Mounts a directory on another as well.
pub fn bind_at(from: &Path, to: &Path) -> Res {
    mount(from, to, "", libc::MS_BIND, "")
}
