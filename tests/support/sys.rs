//! System calls, each as a safe function that answers with the kernel's errno. By number and not by
//! libc's functions: a wrapper that retries, emulates or falls back would hide what a hook said.

pub mod attrs;
pub mod files;
pub mod ipc;
pub mod kernel;
pub mod memory;
pub mod mounts;
pub mod net;
pub mod process;
pub mod queues;
pub mod ring;
pub mod storage;

use std::ffi::{CString, OsStr};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// An errno, positive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// What a system call answers.
pub type Res<T = ()> = Result<T, Errno>;

/// The refusal of files, programs and peers.
pub const EACCES: Errno = Errno(libc::EACCES);
/// The refusal of processes and of the kernel itself.
pub const EPERM: Errno = Errno(libc::EPERM);

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.0))
    }
}

/// One word of a system call's arguments.
pub(crate) trait Word {
    /// As the register holds it.
    fn word(&self) -> usize;
}

macro_rules! words {
    ($($integer:ty),*) => {
        $(impl Word for $integer {
            fn word(&self) -> usize {
                *self as usize
            }
        })*
    };
}
words!(i32, u32, i64, u64, usize);

impl Word for CString {
    fn word(&self) -> usize {
        self.as_ptr() as usize
    }
}

/// The address of values that the kernel only reads.
impl<T> Word for &[T] {
    fn word(&self) -> usize {
        self.as_ptr() as usize
    }
}

/// The address of values that the kernel writes.
impl<T> Word for &mut [T] {
    fn word(&self) -> usize {
        self.as_ptr() as usize
    }
}

/// The address of a value that the kernel only reads.
pub(crate) struct Ref<'a, T>(pub &'a T);

impl<T> Word for Ref<'_, T> {
    fn word(&self) -> usize {
        std::ptr::from_ref(self.0) as usize
    }
}

/// The address of a value that the kernel writes.
pub(crate) struct Mut<'a, T>(pub &'a mut T);

impl<T> Word for Mut<'_, T> {
    fn word(&self) -> usize {
        std::ptr::from_ref(&*self.0) as usize
    }
}

/// A system call.
///
/// # Safety
///
/// Every address among the arguments must be of an object that lives through the call, with the
/// size that the call takes it for.
pub(crate) unsafe fn call(number: libc::c_long, args: &[&dyn Word]) -> Res<i64> {
    let word = |n: usize| args.get(n).map_or(0, |arg| arg.word());
    // SAFETY: by the caller's contract; what is not given is 0.
    let answer =
        unsafe { libc::syscall(number, word(0), word(1), word(2), word(3), word(4), word(5)) };
    if answer == -1 {
        return Err(Errno(io::Error::last_os_error().raw_os_error().unwrap_or(0)));
    }
    Ok(answer)
}

/// [`call`] with references and integers. The invariant that makes it safe is the callers', all of
/// them in `support`: each address comes from a borrow in the same expression, and a size beside it
/// from the same object.
macro_rules! sys {
    ($number:ident $(, $arg:expr)* $(,)?) => {
        // SAFETY: as said above.
        unsafe { $crate::support::sys::call(libc::$number, &[$(&$arg as &dyn $crate::support::sys::Word),*]) }
    };
}
pub(crate) use sys;

/// A path as the kernel takes it.
pub(crate) fn c_path(path: impl AsRef<Path>) -> CString {
    c_text(path.as_ref().as_os_str())
}

/// A string as the kernel takes it.
pub(crate) fn c_text(text: impl AsRef<OsStr>) -> CString {
    let text = text.as_ref();
    CString::new(text.as_bytes()).unwrap_or_else(|_| panic!("{text:?} has a NUL in it"))
}
