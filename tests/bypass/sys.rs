//! System calls that only attackers make. As in `support::sys`: by number, each a safe function.

pub mod bpf;
pub mod files;
pub mod ipc;
pub mod kernel;
pub mod memory;
pub mod mounts;
pub mod net;
pub mod process;
pub mod raw;

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::AtomicU8;

use crate::support::sys::files::open;
use crate::support::sys::{Errno, Mut, Res, c_path, sys};

/// A page that parents and children share.
pub struct Shared(usize);

impl Shared {
    const LENGTH: usize = 4096;

    /// A new one, of zeros.
    pub fn new() -> Shared {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let at = sys!(SYS_mmap, 0, Self::LENGTH, protection, flags, -1, 0).unwrap();
        Shared(at as usize)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: the mapping is so long, lives as long as `self`, and is only used by atomics.
        unsafe { std::slice::from_raw_parts(self.0 as *const AtomicU8, Self::LENGTH) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let taken_off = sys!(SYS_munmap, self.0, Self::LENGTH);
        assert!(taken_off.is_ok(), "munmap: {taken_off:?}");
    }
}

/// A descriptor that a system call has just made.
pub fn owned(answer: i64) -> OwnedFd {
    // SAFETY: only called with the answer of a call that makes descriptors.
    unsafe { OwnedFd::from_raw_fd(answer as RawFd) }
}

/// What no library call has a better errno for.
pub fn errno_of(error: &std::io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

/// `alarm(2)`: ends a process that hangs.
pub fn alarm(seconds: u32) -> Res {
    sys!(SYS_alarm, seconds).map(drop)
}

/// Whether something can be read from a descriptor, or a connection accepted.
pub fn readable(descriptor: RawFd) -> bool {
    let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    sys!(SYS_poll, Mut(&mut poll), 1, 0) == Ok(1) && poll.revents & libc::POLLIN != 0
}

/// Whether a file has extended attributes, ACLs among them.
pub fn has_attributes(path: &Path) -> bool {
    let mut names = [0_u8; 256];
    let length = names.len();
    let listed = sys!(SYS_llistxattr, c_path(path), &mut names[..], length).unwrap();
    listed > 0
}

/// `FS_EXTENT_FL`, which ext4 sets on every file.
pub const EXTENTS: i32 = 0x8_0000;
/// `FS_IOC_GETFLAGS`.
const GETFLAGS: u32 = 0x8008_6601;

/// The flags that `chattr` changes.
pub fn inode_flags(path: &Path) -> i32 {
    let file = open(path, libc::O_RDONLY).unwrap();
    let mut flags = 0_i64;
    sys!(SYS_ioctl, file.as_raw_fd(), GETFLAGS, Mut(&mut flags)).unwrap();
    flags as i32
}
