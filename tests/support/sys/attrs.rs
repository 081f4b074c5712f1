//! Attributes of files.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use super::files::HERE;
use super::{Res, c_path, c_text, sys};

/// `chmod(2)`.
pub fn chmod(path: impl AsRef<Path>, mode: u32) -> Res {
    sys!(SYS_chmod, c_path(path), mode).map(drop)
}

/// `fchmodat(2)`.
pub fn chmod_at(path: impl AsRef<Path>, mode: u32) -> Res {
    sys!(SYS_fchmodat, HERE, c_path(path), mode).map(drop)
}

/// `fchmodat2(2)` of an open file, which may be one without rights; `ENOSYS` before 6.6.
pub fn chmod_empty_path(file: &OwnedFd, mode: u32) -> Res {
    sys!(SYS_fchmodat2, file.as_raw_fd(), c_text(""), mode, libc::AT_EMPTY_PATH).map(drop)
}

/// `fchmod(2)`.
pub fn fchmod(file: &OwnedFd, mode: u32) -> Res {
    sys!(SYS_fchmod, file.as_raw_fd(), mode).map(drop)
}

/// `chown(2)`.
pub fn chown(path: impl AsRef<Path>, id: u32) -> Res {
    sys!(SYS_chown, c_path(path), id, id).map(drop)
}

/// `lchown(2)`.
pub fn lchown(path: impl AsRef<Path>, id: u32) -> Res {
    sys!(SYS_lchown, c_path(path), id, id).map(drop)
}

/// `fchown(2)`.
pub fn fchown(file: &OwnedFd, id: u32) -> Res {
    sys!(SYS_fchown, file.as_raw_fd(), id, id).map(drop)
}

/// `fchownat(2)` of an open file, which may be one without rights.
pub fn chown_empty_path(file: &OwnedFd, id: u32) -> Res {
    sys!(SYS_fchownat, file.as_raw_fd(), c_text(""), id, id, libc::AT_EMPTY_PATH).map(drop)
}
