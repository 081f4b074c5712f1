//! Mappings.

use std::os::fd::{AsRawFd as _, OwnedFd};

use super::{Res, sys};

/// Bytes of every mapping made here.
const LENGTH: usize = 4096;

/// A private mapping, taken off when dropped. Its memory is never touched.
#[derive(Debug)]
pub struct Mapping(usize);

/// `mmap(2)` of a file's first page.
pub fn map(file: &OwnedFd, protection: i32) -> Res<Mapping> {
    let file = file.as_raw_fd();
    sys!(SYS_mmap, 0, LENGTH, protection, libc::MAP_PRIVATE, file, 0).map(|at| Mapping(at as usize))
}

/// A shared one.
pub fn map_shared(file: &OwnedFd, protection: i32) -> Res<Mapping> {
    let file = file.as_raw_fd();
    sys!(SYS_mmap, 0, LENGTH, protection, libc::MAP_SHARED, file, 0).map(|at| Mapping(at as usize))
}

impl Mapping {
    /// `mprotect(2)` of all of it.
    pub fn protect(&self, protection: i32) -> Res {
        sys!(SYS_mprotect, self.0, LENGTH, protection).map(drop)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let taken_off = sys!(SYS_munmap, self.0, LENGTH);
        assert!(taken_off.is_ok(), "munmap: {taken_off:?}");
    }
}

/// Anonymous memory, mapped and then made executable, as JIT compilers do.
pub fn jit() -> Res {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let at = sys!(SYS_mmap, 0, LENGTH, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)?;
    Mapping(at as usize).protect(libc::PROT_READ | libc::PROT_EXEC)
}
