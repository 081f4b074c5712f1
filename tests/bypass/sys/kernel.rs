//! The kernel's own controls.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use super::owned;
use crate::support::sys::files::open;
use crate::support::sys::{Mut, Ref, Res, c_path, c_text, sys};

/// `finit_module(2)`.
pub fn load_module(file: &OwnedFd) -> Res {
    sys!(SYS_finit_module, file.as_raw_fd(), c_text(""), 0).map(drop)
}

/// `init_module(2)`.
pub fn load_module_image(image: &[u8]) -> Res {
    sys!(SYS_init_module, image, image.len(), c_text("")).map(drop)
}

/// `delete_module(2)`.
pub fn unload_module(name: &str) -> Res {
    sys!(SYS_delete_module, c_text(name), libc::O_NONBLOCK).map(drop)
}

/// `perf_event_open(2)`: counts a software event of a process.
pub fn perf(pid: i32) -> Res<OwnedFd> {
    // `struct perf_event_attr` of its first version: type 1 (software), its size, and the clock.
    let attributes = [1_u64 | 64 << 32, 0, 0, 0, 0, 0x20 | 0x40, 0, 0];
    sys!(SYS_perf_event_open, Ref(&attributes), pid, -1, -1, 0).map(owned)
}

/// `add_key(2)` to the session's keyring.
pub fn add_key(kind: &str, name: &str, value: &[u8]) -> Res<i64> {
    const SESSION: i32 = -3;
    sys!(SYS_add_key, c_text(kind), c_text(name), value, value.len(), SESSION)
}

/// `keyctl(2)`: reads a key.
pub fn read_key(key: i64) -> Res<Vec<u8>> {
    const READ: i32 = 11;
    let mut bytes = vec![0_u8; 64];
    let room = bytes.len();
    let length = sys!(SYS_keyctl, READ, key, &mut bytes[..], room)?;
    bytes.truncate(length as usize);
    Ok(bytes)
}

/// `request_key(2)`, with something to tell the program that answers for it.
pub fn request_key(name: &str) -> Res<i64> {
    sys!(SYS_request_key, c_text("user"), c_text(name), c_text("x"), 0)
}

/// `keyctl(2)`: a session keyring of its own.
pub fn new_session_keyring() -> Res<i64> {
    const JOIN_SESSION_KEYRING: i32 = 1;
    sys!(SYS_keyctl, JOIN_SESSION_KEYRING, 0)
}

/// A terminal, as what is behind one has it; its other end stays open.
pub fn terminal() -> Res<OwnedFd> {
    const TIOCSPTLCK: u32 = 0x4004_5431;
    const TIOCGPTPEER: u32 = 0x5441;
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let master = open("/dev/ptmx", flags)?;
    sys!(SYS_ioctl, master.as_raw_fd(), TIOCSPTLCK, Ref(&0_i32))?;
    let terminal = sys!(SYS_ioctl, master.as_raw_fd(), TIOCGPTPEER, flags).map(owned);
    std::mem::forget(master);
    terminal
}

/// `TIOCSTI`: types a character.
pub fn type_into(terminal: &OwnedFd) -> Res {
    const TIOCSTI: u32 = 0x5412;
    sys!(SYS_ioctl, terminal.as_raw_fd(), TIOCSTI, Ref(b"x")).map(drop)
}

/// `clock_settime(2)`: sets the wall clock to what it shows.
pub fn set_clock() -> Res {
    let mut now = [0_i64; 2];
    sys!(SYS_clock_gettime, libc::CLOCK_REALTIME, Mut(&mut now))?;
    sys!(SYS_clock_settime, libc::CLOCK_REALTIME, Ref(&now)).map(drop)
}

/// `sethostname(2)`.
pub fn set_host_name(name: &str) -> Res {
    sys!(SYS_sethostname, name.as_bytes(), name.len()).map(drop)
}

/// `syslog(2)`: reads the kernel's log.
pub fn kernel_log() -> Res<Vec<u8>> {
    const READ_ALL: i32 = 3;
    let mut bytes = vec![0_u8; 256];
    let room = bytes.len();
    let length = sys!(SYS_syslog, READ_ALL, &mut bytes[..], room)?;
    bytes.truncate(length as usize);
    Ok(bytes)
}

/// `syslog(2)`: empties the kernel's log.
pub fn clear_log() -> Res {
    const CLEAR: i32 = 5;
    sys!(SYS_syslog, CLEAR, 0, 0).map(drop)
}

/// `acct(2)`: has the kernel write into a file.
pub fn account(path: &Path) -> Res {
    sys!(SYS_acct, c_path(path)).map(drop)
}

/// `kexec_load(2)` of nothing: takes a kernel that was loaded off again.
pub fn kexec_nothing() -> Res {
    sys!(SYS_kexec_load, 0, 0, 0, 0).map(drop)
}

/// `reboot(2)`: makes Ctrl-Alt-Del a signal again, which it is.
pub fn control_reboot() -> Res {
    sys!(SYS_reboot, 0xfee1_dead_u32, 672_274_793, 0, 0).map(drop)
}

/// `io_uring_setup(2)`.
pub fn ring() -> Res<OwnedFd> {
    let mut parameters = [0_u32; 30];
    sys!(SYS_io_uring_setup, 2, Mut(&mut parameters)).map(owned)
}

/// `iopl(2)`.
pub fn port_level() -> Res {
    sys!(SYS_iopl, 3).map(drop)
}

/// `ioperm(2)`.
pub fn port_access() -> Res {
    sys!(SYS_ioperm, 0x80, 1, 1).map(drop)
}

/// `acct(2)`: stops it.
pub fn account_off() -> Res {
    sys!(SYS_acct, 0).map(drop)
}
