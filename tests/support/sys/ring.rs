//! io_uring, as far as one operation takes. By hand: a crate would bring its own idea of what to do
//! where the kernel refuses.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use super::net::Address;
use super::{Errno, Mut, Res, Word as _, c_path, sys};

/// Bytes of `struct io_uring_params`, in words of 32 bits.
const PARAMS: usize = 30;
/// Index of `sq_off` in it, and of `cq_off`; both begin with head and tail.
const SQ_OFF: usize = 10;
/// See [`SQ_OFF`].
const CQ_OFF: usize = 20;
/// Offsets that `mmap` takes for the three parts.
const OFF_SQ_RING: usize = 0;
/// See [`OFF_SQ_RING`].
const OFF_SQES: usize = 0x1000_0000;
/// `IORING_FEAT_SINGLE_MMAP`: both rings are one mapping.
const SINGLE_MMAP: u32 = 1;
/// Room that is mapped for each part; two entries take less than a page.
const ROOM: usize = 4096;
/// `IORING_OP_OPENAT`.
const OP_OPENAT: u8 = 18;
/// `IORING_OP_CONNECT`.
const OP_CONNECT: u8 = 16;

/// Memory that is shared with the kernel.
struct Shared(usize);

impl Shared {
    fn map(ring: RawFd, at: usize) -> Res<Shared> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        sys!(SYS_mmap, 0, ROOM, protection, flags, ring, at).map(|at| Shared(at as usize))
    }

    /// The word `at` bytes into it.
    fn word(&self, at: u32) -> &AtomicU32 {
        assert!(at as usize + 4 <= ROOM && at.is_multiple_of(4));
        // SAFETY: inside the mapping, which lives as long as `self`, and aligned; the kernel only
        // changes such words atomically.
        unsafe { AtomicU32::from_ptr((self.0 + at as usize) as *mut u32) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let taken_off = sys!(SYS_munmap, self.0, ROOM);
        assert!(taken_off.is_ok(), "munmap: {taken_off:?}");
    }
}

/// Opens a file through an io_uring of one's own. `ENOSYS` where the kernel has none.
pub fn open(path: impl AsRef<Path>, flags: i32) -> Res<OwnedFd> {
    let path = c_path(path);
    let at = path.word();
    let result = run(&[
        (0, u32::from(OP_OPENAT)),
        (4, libc::AT_FDCWD.cast_unsigned()),
        (16, at as u32),
        (20, (at >> 32) as u32),
        (28, flags.cast_unsigned()),
    ])?;
    // SAFETY: a descriptor that the kernel has just made.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

/// Connects a socket through an io_uring of one's own.
pub fn connect(socket: &OwnedFd, to: &Address) -> Res {
    let at = (&to.0[..]).word();
    // The length is where others have their offset.
    let length = to.0.len() as u32;
    run(&[
        (0, u32::from(OP_CONNECT)),
        (4, socket.as_raw_fd().cast_unsigned()),
        (8, length),
        (16, at as u32),
        (20, (at >> 32) as u32),
    ])
    .map(drop)
}

/// Has one entry done (`struct io_uring_sqe`), of which some words are set: the result.
fn run(entry: &[(u32, u32)]) -> Res<RawFd> {
    let mut params = [0_u32; PARAMS];
    let ring = sys!(SYS_io_uring_setup, 2, Mut(&mut params))?;
    // SAFETY: a descriptor that the kernel has just made.
    let ring = unsafe { OwnedFd::from_raw_fd(ring as RawFd) };
    let features = params[5];
    assert!(features & SINGLE_MMAP != 0, "io_uring of before 5.4");
    let rings = Shared::map(ring.as_raw_fd(), OFF_SQ_RING)?;
    let entries = Shared::map(ring.as_raw_fd(), OFF_SQES)?;
    for (at, value) in entry {
        entries.word(*at).store(*value, Ordering::Relaxed);
    }
    // `tail` and `array` are the second and seventh words of `sq_off`.
    rings.word(params[SQ_OFF + 6]).store(0, Ordering::Relaxed);
    rings.word(params[SQ_OFF + 1]).store(1, Ordering::Release);
    // One to submit, one to wait for, IORING_ENTER_GETEVENTS.
    sys!(SYS_io_uring_enter, ring.as_raw_fd(), 1, 1, 1, 0, 0)?;
    // A completion is user_data (64 bits), result and flags; `cqes` is the sixth word of `cq_off`.
    let result = rings.word(params[CQ_OFF + 5] + 8).load(Ordering::Acquire).cast_signed();
    if result < 0 { Err(Errno(-result)) } else { Ok(result) }
}
