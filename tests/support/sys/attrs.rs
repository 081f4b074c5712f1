//! Attributes of files: mode, owner, times, extended attributes, flags.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use super::files::HERE;
use super::{Ref, Res, Word, c_path, c_text, sys};

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

/// A time for [`utimes`] and [`futimes`]: nanoseconds may be `UTIME_NOW` or `UTIME_OMIT`.
pub type Time = [i64; 2];
/// A time that is long ago.
pub const LONG_AGO: Time = [1, 0];
/// Now.
pub const NOW: Time = [0, libc::UTIME_NOW];
/// No change.
pub const OMIT: Time = [0, libc::UTIME_OMIT];

/// `utimensat(2)`: access and modification time.
pub fn utimes(path: impl AsRef<Path>, times: [Time; 2]) -> Res {
    sys!(SYS_utimensat, HERE, c_path(path), Ref(&times), 0).map(drop)
}

/// `utimensat(2)` of the link itself.
pub fn lutimes(path: impl AsRef<Path>, times: [Time; 2]) -> Res {
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    sys!(SYS_utimensat, HERE, c_path(path), Ref(&times), flags).map(drop)
}

/// `utimensat(2)` of an open file.
pub fn futimes(file: &OwnedFd, times: [Time; 2]) -> Res {
    sys!(SYS_utimensat, file.as_raw_fd(), 0, Ref(&times), 0).map(drop)
}

/// `utimensat(2)` without times: both are now.
pub fn touch_times(path: impl AsRef<Path>) -> Res {
    sys!(SYS_utimensat, HERE, c_path(path), 0, 0).map(drop)
}

/// `setxattr(2)`.
pub fn setxattr(path: impl AsRef<Path>, name: &str, value: &[u8]) -> Res {
    sys!(SYS_setxattr, c_path(path), c_text(name), value, value.len(), 0).map(drop)
}

/// `fsetxattr(2)`.
pub fn fsetxattr(file: &OwnedFd, name: &str, value: &[u8]) -> Res {
    sys!(SYS_fsetxattr, file.as_raw_fd(), c_text(name), value, value.len(), 0).map(drop)
}

/// `removexattr(2)`.
pub fn removexattr(path: impl AsRef<Path>, name: &str) -> Res {
    sys!(SYS_removexattr, c_path(path), c_text(name)).map(drop)
}

/// `fremovexattr(2)`.
pub fn fremovexattr(file: &OwnedFd, name: &str) -> Res {
    sys!(SYS_fremovexattr, file.as_raw_fd(), c_text(name)).map(drop)
}

/// The attribute that holds a file's access control list (`acl(5)`).
pub const ACL: &str = "system.posix_acl_access";

/// An access control list that lets one more user read and write, as the attribute holds it
/// (`include/uapi/linux/posix_acl_xattr.h`).
pub fn acl_for(user: u32) -> Vec<u8> {
    const VERSION: u32 = 2;
    const NOBODY: u32 = u32::MAX;
    // Tag, permissions, id: owner, the user, group, mask, others.
    let entries =
        [(1_u16, 6_u16, NOBODY), (2, 6, user), (4, 4, NOBODY), (16, 6, NOBODY), (32, 4, NOBODY)];
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// `ioctl(2)` with a number for an argument.
pub fn ioctl(file: &OwnedFd, command: u32, argument: usize) -> Res<i64> {
    sys!(SYS_ioctl, file.as_raw_fd(), command, argument)
}

/// `ioctl(2)` with a value that the kernel reads.
pub fn ioctl_with<T>(file: &OwnedFd, command: u32, value: &T) -> Res<i64> {
    ioctl(file, command, Ref(value).word())
}

/// `ioctl(2)` with a value that the kernel writes.
pub fn ioctl_into<T>(file: &OwnedFd, command: u32, value: &mut T) -> Res<i64> {
    ioctl(file, command, super::Mut(value).word())
}

/// `FS_IOC_GETFLAGS` (`ioctl_iflags(2)`).
pub const GETFLAGS: u32 = 0x8008_6601;
/// `FS_IOC_SETFLAGS`.
pub const SETFLAGS: u32 = 0x4008_6602;
/// `FS_NODUMP_FL`: a flag without effect, which every owner may set.
pub const NODUMP: i64 = 0x40;

/// Sets a flag of a file beside those that it has (`chattr(1)`).
pub fn set_flags(file: &OwnedFd, flags: i64) -> Res {
    let mut present = 0_i64;
    ioctl_into(file, GETFLAGS, &mut present)?;
    ioctl_with(file, SETFLAGS, &(present | flags)).map(drop)
}

/// [`set_flags`] as a 32-bit program does it.
#[cfg(target_arch = "x86_64")]
pub fn set_flags_32(file: &OwnedFd, flags: i64) -> Res {
    /// `FS_IOC32_SETFLAGS` (`linux/fs.h`).
    const SETFLAGS_32: u32 = 0x4004_6602;
    let mut present = 0_i64;
    ioctl_into(file, GETFLAGS, &mut present)?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    // Where such a program has all of its memory.
    let at = sys!(SYS_mmap, 0, 4096_usize, protection, kind, -1, 0)?;
    // SAFETY: a page of its own, just mapped to be written.
    unsafe { (at as *mut i64).write(present | flags) };
    let answer = ioctl_32(file, SETFLAGS_32, at as u32).map(drop);
    sys!(SYS_munmap, at, 4096_usize)?;
    answer
}

/// `inotify_add_watch(2)`.
pub fn watch(path: impl AsRef<Path>) -> Res {
    let watcher = sys!(SYS_inotify_init1, libc::IN_CLOEXEC)?;
    let answer = sys!(SYS_inotify_add_watch, watcher, c_path(path), libc::IN_OPEN).map(drop);
    super::files::close(watcher as i32)?;
    answer
}

/// `fanotify_mark(2)` of a file, or with `FAN_MARK_MOUNT` (0x10) of its whole mount.
pub fn fanotify_mark(path: impl AsRef<Path>, kind: u32) -> Res {
    const FAN_MARK_ADD: u32 = 1;
    const FAN_OPEN: u64 = 0x20;
    let watcher = sys!(SYS_fanotify_init, 0_u32, libc::O_RDONLY)?;
    let flags = FAN_MARK_ADD | kind;
    let answer = sys!(SYS_fanotify_mark, watcher, flags, FAN_OPEN, HERE, c_path(path)).map(drop);
    super::files::close(watcher as i32)?;
    answer
}

/// `ioctl(2)` as a 32-bit program makes it: `int $0x80`, call 54.
#[cfg(target_arch = "x86_64")]
pub fn ioctl_32(file: &OwnedFd, command: u32, argument: u32) -> Res<i64> {
    let answer: i32;
    // SAFETY: the call takes three numbers; what the third is the address of, if anything, the kernel
    // checks itself. It clobbers the registers that 64-bit code alone has.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "mov ebx, {file:e}",
            "int 0x80",
            "pop rbx",
            file = in(reg) file.as_raw_fd(),
            inlateout("eax") 54_i32 => answer,
            in("ecx") command,
            in("edx") argument,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    if answer < 0 { Err(super::Errno(-answer)) } else { Ok(answer.into()) }
}

/// `file_setattr(2)`, since 6.17: flags of a file without opening it.
pub fn file_setattr(path: impl AsRef<Path>, flags: u64) -> Res {
    const FILE_SETATTR: libc::c_long = 469;
    // `struct file_attr`: flags, extent size, extents, project, extent size for copies.
    let attributes = [flags, 0, 0];
    let path = c_path(path);
    let size = size_of_val(&attributes);
    let args: [&dyn Word; 5] = [&HERE, &path, &Ref(&attributes), &size, &0_u32];
    // SAFETY: the addresses are of what is borrowed here, with their sizes.
    unsafe { super::call(FILE_SETATTR, &args) }.map(drop)
}
