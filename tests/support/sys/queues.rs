//! POSIX message queues.

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use super::{Res, c_text, sys};

/// `mq_open(2)` of a new queue.
pub fn create(name: &str) -> Res {
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    let queue = sys!(SYS_mq_open, c_text(name), flags, 0o600, 0)?;
    // SAFETY: a descriptor that the kernel has just made.
    drop(unsafe { OwnedFd::from_raw_fd(queue as RawFd) });
    Ok(())
}

/// `mq_unlink(2)`.
pub fn unlink(name: &str) -> Res {
    sys!(SYS_mq_unlink, c_text(name)).map(drop)
}
