//! What asks the kernel for its own sake: settings, modules, namespaces.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use super::files::{HERE, chroot, open, pipe, write};
use super::process::{pid, pidfd};
use super::{Errno, Mut, Ref, Res, c_path, c_text, sys};

/// The rules by which root may become another user.
pub const BECOMES_USER: &str = "\
capabilities:
  - allow: [setuid, setgid]";

/// `chroot(2)` to where the root is already.
pub fn chroot_here() -> Res {
    chroot("/")
}

/// `sethostname(2)`, to the name that it has.
pub fn set_host_name() -> Res {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let name = name.trim_end();
    sys!(SYS_sethostname, name.as_bytes(), name.len()).map(drop)
}

/// `setns(2)` into the mount namespace that the process is in.
pub fn join_mounts() -> Res {
    sys!(SYS_setns, pidfd(pid())?.as_raw_fd(), libc::CLONE_NEWNS).map(drop)
}

/// `ioperm(2)`: a port that nothing listens on.
pub fn ioperm() -> Res {
    sys!(SYS_ioperm, 0x80_u64, 1_u64, 1).map(drop)
}

/// `init_module(2)` of what is no module. That the kernel found that out is as good as done.
pub fn init_module() -> Res {
    looked_at(sys!(SYS_init_module, [0_u8; 64].as_slice(), 64_usize, c_text("")))
}

/// `adjtimex(2)`: the clock's tick, to what it is.
pub fn own_time() -> Res {
    const ADJ_TICK: u32 = 0x4000;
    // SAFETY: integers only.
    let mut time: libc::timex = unsafe { std::mem::zeroed() };
    sys!(SYS_adjtimex, Mut(&mut time))?;
    time.modes = ADJ_TICK;
    sys!(SYS_adjtimex, Mut(&mut time)).map(drop)
}

/// Opens a file by its handle (`name_to_handle_at(2)`, `open_by_handle_at(2)`).
pub fn open_by_handle(path: &Path) -> Res<OwnedFd> {
    /// `struct file_handle` with room.
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        data: [u8; 128],
    }
    let mut handle = Handle { bytes: 128, kind: 0, data: [0; 128] };
    let mut mount = 0_i32;
    sys!(SYS_name_to_handle_at, HERE, c_path(path), Mut(&mut handle), Mut(&mut mount), 0)?;
    let on = open(path.parent().unwrap(), libc::O_DIRECTORY)?;
    let fd = sys!(SYS_open_by_handle_at, on.as_raw_fd(), Mut(&mut handle), libc::O_RDONLY)?;
    Ok(owned(fd))
}

/// What the kernel looked at and found wanting it did not refuse.
fn looked_at(answer: Res<i64>) -> Res {
    match answer {
        Err(Errno(libc::ENOEXEC | libc::EINVAL | libc::EBADF)) => Ok(()),
        answer => answer.map(drop),
    }
}

/// `fcntl(2)`, `F_SETOWN`.
pub fn own_by(file: &OwnedFd, owner: i32) -> Res {
    const F_SETOWN: i32 = 8;
    sys!(SYS_fcntl, file.as_raw_fd(), F_SETOWN, owner).map(drop)
}

/// `fcntl(2)`, `F_SETOWN_EX` with a process.
pub fn own_by_structure(file: &OwnedFd, owner: i32) -> Res {
    const F_SETOWN_EX: i32 = 15;
    const F_OWNER_PID: i32 = 1;
    sys!(SYS_fcntl, file.as_raw_fd(), F_SETOWN_EX, Ref(&[F_OWNER_PID, owner])).map(drop)
}

/// The same with a thread.
pub fn own_by_thread(file: &OwnedFd, owner: i32) -> Res {
    const F_SETOWN_EX: i32 = 15;
    const F_OWNER_TID: i32 = 0;
    sys!(SYS_fcntl, file.as_raw_fd(), F_SETOWN_EX, Ref(&[F_OWNER_TID, owner])).map(drop)
}

/// Has a process signalled when a pipe gets something to read, and puts something into it.
pub fn signal_by_input(target: i32, signal: i32) -> Res {
    signal_owner_by_input(|reader| own_by(reader, target), signal)
}

/// The same of whom `own` gives the pipe to.
pub fn signal_owner_by_input(own: impl Fn(&OwnedFd) -> Res, signal: i32) -> Res {
    const F_SETSIG: i32 = 10;
    let (reader, writer) = pipe()?;
    own(&reader)?;
    sys!(SYS_fcntl, reader.as_raw_fd(), F_SETSIG, signal)?;
    sys!(SYS_fcntl, reader.as_raw_fd(), libc::F_SETFL, libc::O_ASYNC)?;
    write(&writer, b"!")
}

/// `perf_event_open(2)`: the clock of the process itself.
pub fn count_own_clock() -> Res {
    const PERF_TYPE_SOFTWARE: u32 = 1;
    // `struct perf_event_attr`: type and size, then words of 64 bits, of which the sixth is flags with
    // `exclude_kernel` (bit 5).
    let mut attributes = [0_u64; 8];
    attributes[0] = u64::from(PERF_TYPE_SOFTWARE) | (size_of_val(&attributes) as u64) << 32;
    attributes[5] = 1 << 5;
    let fd = sys!(SYS_perf_event_open, Ref(&attributes), 0, -1, -1, 0)?;
    drop(owned(fd));
    Ok(())
}

/// `finit_module(2)` of a file that is no module.
pub fn load_module(path: &Path) -> Res {
    let file = open(path, libc::O_RDONLY)?;
    looked_at(sys!(SYS_finit_module, file.as_raw_fd(), c_text(""), 0))
}

/// `syslog(2)`: the size of the kernel's log.
pub fn log_size() -> Res {
    const SYSLOG_ACTION_SIZE_BUFFER: i32 = 10;
    sys!(SYS_syslog, SYSLOG_ACTION_SIZE_BUFFER, 0, 0).map(drop)
}

/// `add_key(2)` to the process's own keyring.
pub fn add_key() -> Res {
    const KEY_SPEC_PROCESS_KEYRING: i32 = -2;
    let (kind, name) = (c_text("user"), c_text("picket-test"));
    sys!(SYS_add_key, kind, name, b"x".as_slice(), 1_usize, KEY_SPEC_PROCESS_KEYRING).map(drop)
}

/// `keyctl(2)`: asks for the user's keyring.
pub fn user_keyring() -> Res {
    const KEYCTL_GET_KEYRING_ID: i32 = 0;
    const KEY_SPEC_USER_KEYRING: i32 = -4;
    sys!(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0).map(drop)
}

/// `userfaultfd(2)`, for faults of this process in user mode.
pub fn userfault() -> Res {
    const UFFD_USER_MODE_ONLY: i32 = 1;
    sys!(SYS_userfaultfd, UFFD_USER_MODE_ONLY).map(|fd| drop(owned(fd)))
}

/// `eventfd2(2)`, which is an object of the same kind.
pub fn event_counter() -> Res {
    sys!(SYS_eventfd2, 0, 0).map(|fd| drop(owned(fd)))
}

fn owned(fd: i64) -> OwnedFd {
    // SAFETY: a descriptor that the kernel has just made.
    unsafe { OwnedFd::from_raw_fd(fd as RawFd) }
}

/// A setting of the kernel (`/proc/sys`) that is put back when dropped.
pub struct Setting(&'static str, String);

impl Setting {
    /// Gives it a value.
    pub fn set(path: &'static str, value: &str) -> Setting {
        let before = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, value).unwrap();
        Setting(path, before)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let put_back = std::fs::write(self.0, &self.1);
        assert!(put_back.is_ok() || std::thread::panicking(), "{}: {put_back:?}", self.0);
    }
}
