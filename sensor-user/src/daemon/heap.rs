//! The allocator's manners in a process that lives for months: what a policy's compilation and the
//! loading of programs took for a moment goes back to the system. Nothing depends on it but memory.

/// Bytes from which an allocation is a mapping of its own, which goes back when it is freed. By itself
/// glibc raises this to the size of the largest that was freed, and then keeps tables of 4 MiB.
#[cfg(target_env = "gnu")]
const MAPPED: libc::c_int = 256 << 10;
/// Heaps at once, which threads share. By itself glibc has eight for each processor, and each keeps what
/// its largest moment took.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Settles this; before there are threads.
pub fn settle() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` has no preconditions, and changes nothing of what is allocated.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
    }
}

/// Gives back what is free; for after something large.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` has no preconditions; it takes the heaps' own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
