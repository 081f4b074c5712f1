//! io_uring, as far as one operation takes. By hand: a crate would bring its own idea of what to do
//! where the kernel refuses.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::net::Address;
use super::{Errno, Mut, Res, Word as _, c_path, files, sys};

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
/// `IORING_OP_NOP`.
const OP_NOP: u8 = 0;
/// `IORING_OP_OPENAT`.
const OP_OPENAT: u8 = 18;
/// `IORING_OP_CONNECT`.
const OP_CONNECT: u8 = 16;
/// `IORING_OP_URING_CMD`.
const OP_URING_CMD: u8 = 46;

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

/// An io_uring. A process that was tagged may make none, so the one that it made before serves for all
/// that comes after.
struct Ring {
    ring: OwnedFd,
    rings: Shared,
    entries: Shared,
    params: [u32; PARAMS],
    /// Credentials that were kept when it was made (`IORING_REGISTER_PERSONALITY`).
    personality: u32,
}

static RING: Mutex<Option<Ring>> = Mutex::new(None);

/// Makes an io_uring, and takes it away again.
pub fn make() -> Res {
    Ring::new().map(drop)
}

/// Opens a file through the process's io_uring.
pub fn open(path: impl AsRef<Path>, flags: i32) -> Res<OwnedFd> {
    let path = c_path(path);
    let at = path.word();
    let fd = in_ring(|ring| {
        ring.set(4, libc::AT_FDCWD.cast_unsigned());
        ring.set(16, at as u32);
        ring.set(20, (at >> 32) as u32);
        ring.set(28, flags.cast_unsigned());
        ring.submit(OP_OPENAT)
    })?;
    // SAFETY: a descriptor that the kernel has just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Connects a socket through the process's io_uring.
pub fn connect(socket: &OwnedFd, to: &Address) -> Res {
    let at = (&to.0[..]).word();
    in_ring(|ring| {
        ring.set(4, socket.as_raw_fd().cast_unsigned());
        // The length is where others have their offset.
        ring.set(8, to.0.len() as u32);
        ring.set(16, at as u32);
        ring.set(20, (at >> 32) as u32);
        ring.submit(OP_CONNECT)
    })
    .map(drop)
}

/// Does nothing, with the credentials that the process has, or those that it had when it made its
/// io_uring.
pub fn nothing(as_before: bool) -> Res {
    in_ring(|ring| {
        // `personality` is the upper half of the word.
        ring.set(40, if as_before { ring.personality << 16 } else { 0 });
        ring.submit(OP_NOP)
    })
    .map(drop)
}

/// A device's own command: `/dev/null` takes any (since 6.0).
pub fn command() -> Res {
    let null = files::open("/dev/null", libc::O_RDONLY)?;
    in_ring(|ring| {
        ring.set(4, null.as_raw_fd().cast_unsigned());
        ring.submit(OP_URING_CMD)
    })
    .map(drop)
}

fn in_ring(operation: impl FnOnce(&Ring) -> Res<i32>) -> Res<i32> {
    let mut kept = RING.lock().unwrap_or_else(PoisonError::into_inner);
    let ring = match kept.take() {
        Some(ring) => ring,
        None => Ring::new()?,
    };
    ring.clear();
    operation(kept.insert(ring))
}

impl Ring {
    fn new() -> Res<Ring> {
        const IORING_REGISTER_PERSONALITY: u32 = 9;
        let mut params = [0_u32; PARAMS];
        let ring = sys!(SYS_io_uring_setup, 2, Mut(&mut params))?;
        // SAFETY: a descriptor that the kernel has just made.
        let ring = unsafe { OwnedFd::from_raw_fd(ring as RawFd) };
        assert!(params[5] & SINGLE_MMAP != 0, "io_uring of before 5.4");
        let rings = Shared::map(ring.as_raw_fd(), OFF_SQ_RING)?;
        let entries = Shared::map(ring.as_raw_fd(), OFF_SQES)?;
        let personality =
            sys!(SYS_io_uring_register, ring.as_raw_fd(), IORING_REGISTER_PERSONALITY, 0, 0)?;
        Ok(Ring { ring, rings, entries, params, personality: personality as u32 })
    }

    /// Sets a word of the first entry (`struct io_uring_sqe`).
    fn set(&self, at: u32, value: u32) {
        self.entries.word(at).store(value, Ordering::Relaxed);
    }

    fn clear(&self) {
        (0..64).step_by(4).for_each(|at| self.set(at, 0));
    }

    /// Passes the first entry to the kernel, and waits for what becomes of it.
    fn submit(&self, operation: u8) -> Res<i32> {
        self.set(0, u32::from(operation));
        // `head`, `tail` and `array` are the first, second and seventh words of `sq_off`.
        let tail = self.rings.word(self.params[SQ_OFF + 1]);
        let next = tail.load(Ordering::Relaxed);
        let slot = self.params[SQ_OFF + 6] + (next & 1) * 4;
        self.rings.word(slot).store(0, Ordering::Relaxed);
        tail.store(next.wrapping_add(1), Ordering::Release);
        // One to submit, one to wait for, IORING_ENTER_GETEVENTS.
        sys!(SYS_io_uring_enter, self.ring.as_raw_fd(), 1, 1, 1, 0, 0)?;
        // A completion is user_data (64 bits), result and flags; `ring_mask` and `cqes` are the third
        // and sixth words of `cq_off`.
        let head = self.rings.word(self.params[CQ_OFF]);
        let at = head.load(Ordering::Acquire);
        let mask = self.rings.word(self.params[CQ_OFF + 2]).load(Ordering::Relaxed);
        let completion = self.params[CQ_OFF + 5] + (at & mask) * 16;
        let result = self.rings.word(completion + 8).load(Ordering::Acquire).cast_signed();
        head.store(at.wrapping_add(1), Ordering::Release);
        if result < 0 { Err(Errno(-result)) } else { Ok(result) }
    }
}
