//! Files and directories.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use super::{Mut, Ref, Res, c_path, c_text, sys};

/// Meaning "relative to the working directory".
pub const HERE: RawFd = libc::AT_FDCWD;

fn owned(answer: i64) -> OwnedFd {
    // SAFETY: only called with a descriptor that the kernel has just made.
    unsafe { OwnedFd::from_raw_fd(answer as RawFd) }
}

/// `openat(2)` with `O_CLOEXEC`.
pub fn open_at(dir: RawFd, path: impl AsRef<Path>, flags: i32, mode: u32) -> Res<OwnedFd> {
    sys!(SYS_openat, dir, c_path(path), flags | libc::O_CLOEXEC, mode).map(owned)
}

/// [`open_at`] from the working directory.
pub fn open(path: impl AsRef<Path>, flags: i32) -> Res<OwnedFd> {
    open_at(HERE, path, flags, 0o644)
}

/// Opens and closes.
pub fn touch(path: impl AsRef<Path>, flags: i32) -> Res {
    open(path, flags).map(drop)
}

/// `openat2(2)`, with `RESOLVE_*` flags.
pub fn open2(dir: RawFd, path: impl AsRef<Path>, flags: i32, resolve: u64) -> Res<OwnedFd> {
    let how = [flags as u64, 0, resolve];
    sys!(SYS_openat2, dir, c_path(path), Ref(&how), size_of_val(&how)).map(owned)
}

/// `creat(2)`.
pub fn creat(path: impl AsRef<Path>) -> Res {
    sys!(SYS_creat, c_path(path), 0o644).map(owned).map(drop)
}

/// `unlinkat(2)`.
pub fn unlink(path: impl AsRef<Path>) -> Res {
    sys!(SYS_unlinkat, HERE, c_path(path), 0).map(drop)
}

/// `unlink(2)`, the older number.
pub fn unlink_old(path: impl AsRef<Path>) -> Res {
    sys!(SYS_unlink, c_path(path)).map(drop)
}

/// `rmdir(2)`.
pub fn rmdir(path: impl AsRef<Path>) -> Res {
    sys!(SYS_rmdir, c_path(path)).map(drop)
}

/// `unlinkat(2)` with `AT_REMOVEDIR`.
pub fn rmdir_at(path: impl AsRef<Path>) -> Res {
    sys!(SYS_unlinkat, HERE, c_path(path), libc::AT_REMOVEDIR).map(drop)
}

/// `rename(2)`.
pub fn rename(old: impl AsRef<Path>, new: impl AsRef<Path>) -> Res {
    sys!(SYS_rename, c_path(old), c_path(new)).map(drop)
}

/// `renameat2(2)`.
pub fn rename2(old: impl AsRef<Path>, new: impl AsRef<Path>, flags: u32) -> Res {
    sys!(SYS_renameat2, HERE, c_path(old), HERE, c_path(new), flags).map(drop)
}

/// `linkat(2)`.
pub fn link_at(dir: RawFd, old: impl AsRef<Path>, new: impl AsRef<Path>, flags: i32) -> Res {
    sys!(SYS_linkat, dir, c_path(old), HERE, c_path(new), flags).map(drop)
}

/// `link(2)`.
pub fn link(old: impl AsRef<Path>, new: impl AsRef<Path>) -> Res {
    sys!(SYS_link, c_path(old), c_path(new)).map(drop)
}

/// `mkdir(2)`.
pub fn mkdir(path: impl AsRef<Path>) -> Res {
    sys!(SYS_mkdir, c_path(path), 0o755).map(drop)
}

/// `mkdirat(2)`.
pub fn mkdir_at(dir: RawFd, path: impl AsRef<Path>) -> Res {
    sys!(SYS_mkdirat, dir, c_path(path), 0o755).map(drop)
}

/// `mknod(2)`.
pub fn mknod(path: impl AsRef<Path>, mode: u32, device: u64) -> Res {
    sys!(SYS_mknod, c_path(path), mode, device).map(drop)
}

/// `symlink(2)`.
pub fn symlink(target: impl AsRef<Path>, path: impl AsRef<Path>) -> Res {
    sys!(SYS_symlink, c_path(target), c_path(path)).map(drop)
}

/// `truncate(2)`.
pub fn truncate(path: impl AsRef<Path>, length: u64) -> Res {
    sys!(SYS_truncate, c_path(path), length).map(drop)
}

/// `ftruncate(2)`.
pub fn ftruncate(file: &OwnedFd, length: u64) -> Res {
    sys!(SYS_ftruncate, file.as_raw_fd(), length).map(drop)
}

/// `pread64(2)` of the first bytes.
pub fn read(file: &OwnedFd) -> Res<Vec<u8>> {
    let mut bytes = vec![0; 256];
    let room = bytes.len();
    let count = sys!(SYS_pread64, file.as_raw_fd(), &mut bytes[..], room, 0)?;
    bytes.truncate(count as usize);
    Ok(bytes)
}

/// `read(2)` of the next bytes, as many as fit; how many there were.
pub fn read_next(file: &OwnedFd, bytes: &mut [u8]) -> Res<usize> {
    let length = bytes.len();
    sys!(SYS_read, file.as_raw_fd(), bytes, length).map(|count| count as usize)
}

/// `getdents64(2)`.
pub fn list(directory: &OwnedFd) -> Res {
    let mut entries = [0_u8; 4096];
    let room = entries.len();
    sys!(SYS_getdents64, directory.as_raw_fd(), &mut entries[..], room).map(drop)
}

/// `write(2)`.
pub fn write(file: &OwnedFd, bytes: &[u8]) -> Res {
    sys!(SYS_write, file.as_raw_fd(), bytes, bytes.len()).map(drop)
}

/// `chdir(2)`.
pub fn chdir(path: impl AsRef<Path>) -> Res {
    sys!(SYS_chdir, c_path(path)).map(drop)
}

/// `chroot(2)`.
pub fn chroot(path: impl AsRef<Path>) -> Res {
    sys!(SYS_chroot, c_path(path)).map(drop)
}

/// `memfd_create(2)`.
pub fn memfd(name: &str) -> Res<OwnedFd> {
    sys!(SYS_memfd_create, c_text(name), 0_u32).map(owned)
}

/// `close(2)` of a descriptor that nothing here owns.
pub fn close(descriptor: RawFd) -> Res {
    sys!(SYS_close, descriptor).map(drop)
}

/// `sendfile(2)`.
pub fn send_file(to: &OwnedFd, from: &OwnedFd, length: usize) -> Res {
    sys!(SYS_sendfile, to.as_raw_fd(), from.as_raw_fd(), 0, length).map(drop)
}

/// `splice(2)`.
pub fn splice(from: &OwnedFd, to: &OwnedFd, length: usize) -> Res {
    sys!(SYS_splice, from.as_raw_fd(), 0, to.as_raw_fd(), 0, length, 0).map(drop)
}

/// `pipe2(2)`: the reading and the writing end.
pub fn pipe() -> Res<(OwnedFd, OwnedFd)> {
    let mut ends = [0_i32; 2];
    sys!(SYS_pipe2, Mut(&mut ends), libc::O_CLOEXEC)?;
    Ok((owned(ends[0].into()), owned(ends[1].into())))
}

/// `mount(2)`.
pub fn mount(
    source: impl AsRef<Path>,
    at: impl AsRef<Path>,
    kind: &str,
    flags: u64,
    options: &str,
) -> Res {
    sys!(SYS_mount, c_path(source), c_path(at), c_text(kind), flags, c_text(options)).map(drop)
}

/// `umount2(2)`.
pub fn umount(at: impl AsRef<Path>, flags: i32) -> Res {
    sys!(SYS_umount2, c_path(at), flags).map(drop)
}

/// `open_tree(2)` with a clone: a mount that hangs nowhere.
pub fn detached_clone(path: impl AsRef<Path>) -> Res<OwnedFd> {
    const OPEN_TREE_CLONE: u32 = 1;
    sys!(SYS_open_tree, HERE, c_path(path), OPEN_TREE_CLONE).map(owned)
}

/// `unshare(2)` of the mount namespace.
pub fn unshare_mounts() -> Res {
    sys!(SYS_unshare, libc::CLONE_NEWNS).map(drop)
}

/// `/proc/self/fd/N` of an open file.
pub fn proc_fd(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
