//! Memory that is mapped to be run, or taken from others.

use std::os::fd::{AsRawFd as _, OwnedFd};

use super::owned;
use crate::support::sys::{Res, Word as _, c_text, sys};

const PAGE: usize = 4096;

/// Whether the first page of a file can be mapped with this protection.
pub fn map(file: &OwnedFd, protection: i32, flags: i32) -> Res<usize> {
    sys!(SYS_mmap, 0, PAGE, protection, flags, file.as_raw_fd(), 0).map(|at| at as usize)
}

/// The bytes at the beginning of a private mapping of a file.
pub fn map_and_read(file: &OwnedFd) -> Res<Vec<u8>> {
    let at = map(file, libc::PROT_READ, libc::MAP_PRIVATE)?;
    // SAFETY: a page that was just mapped for reading, of a file that nobody cuts short meanwhile.
    let bytes = unsafe { std::slice::from_raw_parts(at as *const u8, 64) }.to_vec();
    sys!(SYS_munmap, at, PAGE)?;
    Ok(bytes)
}

/// `mprotect(2)`.
pub fn protect(at: usize, protection: i32) -> Res {
    sys!(SYS_mprotect, at, PAGE, protection).map(drop)
}

/// `pkey_mprotect(2)` without a key.
pub fn pkey_protect(at: usize, protection: i32) -> Res {
    sys!(SYS_pkey_mprotect, at, PAGE, protection, -1).map(drop)
}

/// `personality(2)`: `READ_IMPLIES_EXEC`.
pub fn read_implies_exec() -> Res {
    sys!(SYS_personality, 0x0040_0000).map(drop)
}

/// `memfd_create(2)`, with flags.
pub fn memfd(name: &str, flags: u32) -> Res<OwnedFd> {
    sys!(SYS_memfd_create, c_text(name), flags).map(owned)
}

/// `userfaultfd(2)`.
pub fn userfaultfd() -> Res<OwnedFd> {
    const USER_MODE_ONLY: i32 = 1;
    sys!(SYS_userfaultfd, libc::O_CLOEXEC | USER_MODE_ONLY).map(owned)
}

/// `process_vm_writev(2)` of some bytes to the same address in another process.
pub fn poke(pid: i32, at: &[u8], bytes: &[u8]) -> Res {
    let local = [bytes.word(), bytes.len()];
    let remote = [at.word(), bytes.len()];
    sys!(SYS_process_vm_writev, pid, &local[..], 1, &remote[..], 1, 0).map(drop)
}

/// `process_vm_readv(2)` from the same address in another process.
pub fn peek(pid: i32, at: &[u8]) -> Res<Vec<u8>> {
    let mut bytes = vec![0_u8; at.len()];
    let local = [bytes.as_mut_ptr() as usize, at.len()];
    let remote = [at.word(), at.len()];
    sys!(SYS_process_vm_readv, pid, &local[..], 1, &remote[..], 1, 0)?;
    Ok(bytes)
}
