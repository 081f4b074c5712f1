//! Any system call at all, by number and six words.

use crate::support::sys::{Errno, Res};

/// The call. Nothing is promised about what it does to memory: only for processes that are thrown away
/// right afterwards, and pass addresses of memory that nobody else uses.
pub fn call(number: i64, args: [u64; 6]) -> Res<i64> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: by the words above the process has no memory whose content matters, and ends.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer == -1 {
        return Err(Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)));
    }
    Ok(answer)
}
