//! Files: what is left over beside opening them.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use super::owned;
use crate::support::sys::files::HERE;
use crate::support::sys::{Mut, Ref, Res, c_path, c_text, sys};

/// `chmod(2)`.
pub fn chmod(path: impl AsRef<Path>, mode: u32) -> Res {
    sys!(SYS_chmod, c_path(path), mode).map(drop)
}

/// `fchmod(2)`.
pub fn fchmod(file: &OwnedFd, mode: u32) -> Res {
    sys!(SYS_fchmod, file.as_raw_fd(), mode).map(drop)
}

/// `fchmodat(2)`.
pub fn fchmodat(path: impl AsRef<Path>, mode: u32) -> Res {
    sys!(SYS_fchmodat, HERE, c_path(path), mode).map(drop)
}

/// `chown(2)`.
pub fn chown(path: impl AsRef<Path>, user: u32, group: u32) -> Res {
    sys!(SYS_chown, c_path(path), user, group).map(drop)
}

/// `lchown(2)`.
pub fn lchown(path: impl AsRef<Path>, user: u32, group: u32) -> Res {
    sys!(SYS_lchown, c_path(path), user, group).map(drop)
}

/// `fchownat(2)`; with an empty path of the descriptor itself.
pub fn fchownat(dir: RawFd, path: &str, user: u32, group: u32) -> Res {
    sys!(SYS_fchownat, dir, c_text(path), user, group, libc::AT_EMPTY_PATH).map(drop)
}

/// `utimensat(2)` of both times, in seconds.
pub fn set_times(path: impl AsRef<Path>, seconds: i64) -> Res {
    let times = [seconds, 0, seconds, 0];
    sys!(SYS_utimensat, HERE, c_path(path), Ref(&times), 0).map(drop)
}

/// `utime(2)`, the oldest number.
pub fn set_times_old(path: impl AsRef<Path>, seconds: i64) -> Res {
    let times = [seconds, seconds];
    sys!(SYS_utime, c_path(path), Ref(&times)).map(drop)
}

/// `utimensat(2)` of a descriptor.
pub fn set_file_times(file: &OwnedFd, seconds: i64) -> Res {
    let times = [seconds, 0, seconds, 0];
    sys!(SYS_utimensat, file.as_raw_fd(), 0, Ref(&times), 0).map(drop)
}

/// `setxattr(2)`.
pub fn set_attribute(path: impl AsRef<Path>, name: &str, value: &[u8]) -> Res {
    sys!(SYS_setxattr, c_path(path), c_text(name), value, value.len(), 0).map(drop)
}

/// `fsetxattr(2)`.
pub fn set_file_attribute(file: &OwnedFd, name: &str, value: &[u8]) -> Res {
    sys!(SYS_fsetxattr, file.as_raw_fd(), c_text(name), value, value.len(), 0).map(drop)
}

/// `getxattr(2)`.
pub fn attribute(path: impl AsRef<Path>, name: &str) -> Res<Vec<u8>> {
    let mut value = vec![0; 256];
    let room = value.len();
    let length = sys!(SYS_getxattr, c_path(path), c_text(name), &mut value[..], room)?;
    value.truncate(length as usize);
    Ok(value)
}

/// `removexattr(2)`.
pub fn remove_attribute(path: impl AsRef<Path>, name: &str) -> Res {
    sys!(SYS_removexattr, c_path(path), c_text(name)).map(drop)
}

/// `name_to_handle_at(2)` and `open_by_handle_at(2)`: opens by number, past every name.
pub fn open_by_handle(path: &Path, mount: &Path) -> Res<OwnedFd> {
    let mount = crate::support::sys::files::open(mount, libc::O_RDONLY | libc::O_DIRECTORY)?;
    // `struct file_handle`: bytes, type, then the bytes.
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let mut id = 0_i32;
    sys!(SYS_name_to_handle_at, HERE, c_path(path), Mut(&mut handle), Mut(&mut id), 0)?;
    sys!(SYS_open_by_handle_at, mount.as_raw_fd(), Ref(&handle), libc::O_RDONLY).map(owned)
}

/// `copy_file_range(2)` of the beginning.
pub fn copy_range(from: &OwnedFd, to: &OwnedFd) -> Res<i64> {
    sys!(SYS_copy_file_range, from.as_raw_fd(), 0, to.as_raw_fd(), 0, 256, 0)
}

/// `sendfile(2)`.
pub fn send_file(to: &OwnedFd, from: &OwnedFd) -> Res<i64> {
    sys!(SYS_sendfile, to.as_raw_fd(), from.as_raw_fd(), 0, 256)
}

/// `splice(2)` from a file into a pipe.
pub fn splice(from: &OwnedFd, pipe: &OwnedFd) -> Res<i64> {
    sys!(SYS_splice, from.as_raw_fd(), 0, pipe.as_raw_fd(), 0, 256, 0)
}

/// `linkat(2)` of a descriptor, which takes a capability.
pub fn link_descriptor(file: &OwnedFd, to: &Path) -> Res {
    sys!(SYS_linkat, file.as_raw_fd(), c_text(""), HERE, c_path(to), libc::AT_EMPTY_PATH).map(drop)
}

/// `fallocate(2)` that punches a hole into the beginning.
pub fn punch(file: &OwnedFd) -> Res {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    sys!(SYS_fallocate, file.as_raw_fd(), mode, 0, 4096).map(drop)
}

/// `fanotify_init(2)` and a mark on the whole mount, as spies set it.
pub fn spy_on_mount(at: &Path) -> Res<OwnedFd> {
    let group = owned(sys!(SYS_fanotify_init, 0, libc::O_RDONLY)?);
    let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_MOUNT;
    let mask = libc::FAN_OPEN | libc::FAN_CLOSE;
    sys!(SYS_fanotify_mark, group.as_raw_fd(), flags, mask, HERE, c_path(at))?;
    Ok(group)
}

/// `inotify_init1(2)` and a watch.
pub fn spy_on(path: &Path) -> Res<OwnedFd> {
    let group = owned(sys!(SYS_inotify_init1, libc::IN_NONBLOCK)?);
    sys!(SYS_inotify_add_watch, group.as_raw_fd(), c_path(path), libc::IN_ALL_EVENTS)?;
    Ok(group)
}

/// `mq_open(3)`: a POSIX message queue.
pub fn message_queue(name: &str, flags: i32) -> Res<OwnedFd> {
    sys!(SYS_mq_open, c_text(name), flags, 0o666, 0).map(owned)
}

/// `mq_unlink(3)`.
pub fn remove_queue(name: &str) -> Res {
    sys!(SYS_mq_unlink, c_text(name)).map(drop)
}

/// `mq_timedsend(2)`.
pub fn queue_send(queue: &OwnedFd, bytes: &[u8]) -> Res {
    sys!(SYS_mq_timedsend, queue.as_raw_fd(), bytes, bytes.len(), 0, 0).map(drop)
}

/// `readv(2)` of the first bytes.
pub fn read_vector(file: &OwnedFd) -> Res<Vec<u8>> {
    let mut bytes = vec![0_u8; 256];
    let room = bytes.len();
    let piece = [bytes.as_mut_ptr() as usize, room];
    let count = sys!(SYS_readv, file.as_raw_fd(), Ref(&piece), 1)?;
    bytes.truncate(count as usize);
    Ok(bytes)
}

/// `pwrite64(2)`.
pub fn write_at(file: &OwnedFd, bytes: &[u8], at: i64) -> Res {
    sys!(SYS_pwrite64, file.as_raw_fd(), bytes, bytes.len(), at).map(drop)
}
