//! Files: opening, making, changing and mapping them.

use std::path::Path;

use super::{Entry, Op, at, check, deep, entry};
use crate::c_path;

/// Making and removing, which two hooks see on inodes besides, for the message queues' sake.
const MADE: &str = "path_mknod, inode_create, file_open, path_unlink, inode_unlink";

/// All of them.
pub const ALL: &[Entry] = &[
    entry("open, 1 deep", "file_open", || open(&deep(1))),
    entry("open, 3 deep", "file_open", || open(&deep(3))),
    entry("open, 8 deep", "file_open", || open(&deep(8))),
    entry("capability", "capable, file_open", capability),
    entry("create+unlink", MADE, create_unlink),
    entry("mkdir+rmdir", "path_mkdir, path_rmdir", mkdir),
    entry("symlink+unlink", "path_symlink, path_unlink, inode_unlink", symlink),
    entry("link+unlink", "path_link, path_unlink, inode_unlink", link),
    entry("rename x2", "path_rename", rename),
    entry("truncate", "path_truncate, inode_setattr", truncate),
    entry("chmod", "path_chmod, inode_setattr", chmod),
    entry("chown", "path_chown, inode_setattr", chown),
    entry("utimensat", "inode_setattr", utimensat),
    entry("setxattr", "inode_setxattr", setxattr).only_if(has_attributes),
    entry("inotify", "path_notify", inotify),
    entry("read", "", read),
    entry("stat", "", stat),
    entry("ioctl", "file_ioctl", ioctl),
    entry("fcntl", "file_fcntl", fcntl),
    entry("mmap", "mmap_file", mmap),
    entry("mprotect", "file_mprotect", mprotect),
];

/// A `fcntl` that means nothing to Picket.
fn fcntl() -> Op {
    Op::new(2000, || {
        // SAFETY: takes integers.
        check(unsafe { libc::fcntl(0, libc::F_GETFD) }, "fcntl");
    })
}

/// Using a capability: root opens a file that it could not open without one.
fn capability() -> Op {
    use std::os::unix::fs::{PermissionsExt, chown};
    let path = at("others");
    std::fs::write(&path, b"").expect("the working directory is writable");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("it is root's");
    chown(&path, Some(1), Some(1)).expect("root may");
    open(&path)
}

/// Opening and closing a file that exists.
fn open(path: &Path) -> Op {
    let path = c_path(path);
    Op::new(1000, move || {
        // SAFETY: a C string that lives as long as the closure.
        unsafe {
            libc::close(check(libc::open(path.as_ptr(), libc::O_RDONLY), "open"));
        }
    })
}

fn create_unlink() -> Op {
    let path = c_path(&at("new"));
    Op::new(500, move || {
        // SAFETY: as in `open`.
        unsafe {
            let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY;
            libc::close(check(libc::open(path.as_ptr(), flags, 0o600), "create"));
            check(libc::unlink(path.as_ptr()), "unlink");
        }
    })
}

fn rename() -> Op {
    let (a, b) = (c_path(&at("a")), c_path(&at("b")));
    std::fs::write(at("a"), b"").expect("the working directory is writable");
    Op::new(500, move || {
        // SAFETY: as in `open`.
        unsafe {
            check(libc::rename(a.as_ptr(), b.as_ptr()), "rename");
            check(libc::rename(b.as_ptr(), a.as_ptr()), "rename");
        }
    })
}

fn read() -> Op {
    let path = c_path(&deep(3));
    // SAFETY: as in `open`.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) }, "open");
    Op::new(2000, move || {
        let mut buffer = [0_u8; 64];
        // SAFETY: the buffer is as long as said.
        check(unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), 64, 0) } as i64, "read");
    })
}

/// Changing the mode of a file.
fn chmod() -> Op {
    let path = c_path(&deep(3));
    Op::new(1000, move || {
        // SAFETY: as in `open`.
        check(unsafe { libc::chmod(path.as_ptr(), 0o644) }, "chmod");
    })
}

/// Setting both times of a file: the hook for it has to find out the file's name without its mount.
fn utimensat() -> Op {
    let path = c_path(&deep(3));
    let times = [libc::timespec { tv_sec: 1, tv_nsec: 0 }; 2];
    Op::new(1000, move || {
        // SAFETY: as in `open`, and two whole times.
        let code = unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0) };
        check(code, "utimensat");
    })
}

/// Whether a tmpfs keeps attributes of users: since 6.6.
fn has_attributes() -> bool {
    let path = c_path(&deep(3));
    // SAFETY: as in `open`, and a value of the length given.
    unsafe { libc::setxattr(path.as_ptr(), c"user.a".as_ptr(), b"1".as_ptr().cast(), 1, 0) == 0 }
}

/// Setting an extended attribute to the value that it has.
fn setxattr() -> Op {
    let (path, value) = (c_path(&deep(3)), b"1");
    Op::new(500, move || {
        // SAFETY: as in `open`, and a value of the length given.
        let code = unsafe {
            libc::setxattr(path.as_ptr(), c"user.a".as_ptr(), value.as_ptr().cast(), 1, 0)
        };
        check(code, "setxattr");
    })
}

/// The command that is given most often: whether a file is a terminal.
fn ioctl() -> Op {
    let path = c_path(&deep(3));
    // SAFETY: as in `open`.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) }, "open");
    Op::new(2000, move || {
        // SAFETY: takes a descriptor.
        assert_eq!(unsafe { libc::isatty(fd) }, 0, "a file is no terminal");
    })
}

/// Mapping a page of a file to be read, and taking it off.
fn mmap() -> Op {
    let path = c_path(&deep(3));
    // SAFETY: as in `open`.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) }, "open");
    Op::new(1000, move || {
        // SAFETY: a new mapping, which nobody looks into before it is taken off.
        unsafe {
            let at =
                libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0);
            assert_ne!(at, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
            check(libc::munmap(at, 4096), "munmap");
        }
    })
}

fn stat() -> Op {
    let path = c_path(&deep(3));
    Op::new(1000, move || {
        let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
        // SAFETY: a C string, and room for a whole structure.
        check(unsafe { libc::stat(path.as_ptr(), stat.as_mut_ptr()) }, "stat");
    })
}

fn mkdir() -> Op {
    let path = c_path(&at("dir"));
    Op::new(500, move || {
        // SAFETY: as in `open`.
        unsafe {
            check(libc::mkdir(path.as_ptr(), 0o700), "mkdir");
            check(libc::rmdir(path.as_ptr()), "rmdir");
        }
    })
}

fn symlink() -> Op {
    let path = c_path(&at("symlink"));
    Op::new(500, move || {
        // SAFETY: as in `open`.
        unsafe {
            check(libc::symlink(c"f".as_ptr(), path.as_ptr()), "symlink");
            check(libc::unlink(path.as_ptr()), "unlink");
        }
    })
}

fn link() -> Op {
    let (from, to) = (c_path(&deep(3)), c_path(&at("3/link")));
    Op::new(500, move || {
        // SAFETY: as in `open`.
        unsafe {
            check(libc::link(from.as_ptr(), to.as_ptr()), "link");
            check(libc::unlink(to.as_ptr()), "unlink");
        }
    })
}

fn truncate() -> Op {
    let path = c_path(&deep(3));
    Op::new(1000, move || {
        // SAFETY: as in `open`.
        check(unsafe { libc::truncate(path.as_ptr(), 64) }, "truncate");
    })
}

/// To the owner that it has, as an installer does.
fn chown() -> Op {
    let path = c_path(&deep(3));
    Op::new(1000, move || {
        // SAFETY: as in `open`.
        check(unsafe { libc::chown(path.as_ptr(), u32::MAX, 0) }, "chown");
    })
}

fn inotify() -> Op {
    let path = c_path(&deep(3));
    // SAFETY: takes an integer.
    let watch = check(unsafe { libc::inotify_init1(0) }, "inotify_init1");
    Op::new(500, move || {
        // SAFETY: as in `open`.
        unsafe {
            let one = check(
                libc::inotify_add_watch(watch, path.as_ptr(), libc::IN_MODIFY),
                "inotify_add_watch",
            );
            check(libc::inotify_rm_watch(watch, one), "inotify_rm_watch");
        }
    })
}

/// A page that may be written, then may not.
fn mprotect() -> Op {
    // SAFETY: a new mapping, which nobody looks into.
    let at = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, flags, -1, 0)
    };
    assert_ne!(at, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    Op::new(1000, move || {
        // SAFETY: the whole of the mapping above.
        unsafe {
            check(libc::mprotect(at, 4096, libc::PROT_READ | libc::PROT_WRITE), "mprotect");
            check(libc::mprotect(at, 4096, libc::PROT_READ), "mprotect");
        }
    })
}
