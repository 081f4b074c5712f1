//! What the canary tries. None of it does harm where it is not refused: it concerns the cage, a socket or
//! memory of the process's own, or gives something the value that it has.

use std::ffi::CString;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use sensor_ebpf::hook::Hook;

use crate::api::types::Probe;

/// A program that may be read and mapped, and not run.
pub const SHELL: &str = "/bin/sh";
/// A file that may be read, and not mapped as code.
pub const USERS: &str = "/etc/passwd";

/// An operation: what it is, the hook that refuses it, and how it is tried.
type Attempt = (&'static str, Hook, fn(&Path) -> io::Result<()>);

/// The canary's own part: tries everything and prints what came of it.
///
/// # Errors
/// If it cannot be printed.
pub fn sing(cage: &Path) -> anyhow::Result<()> {
    let probes: Vec<Probe> = ATTEMPTS
        .iter()
        .map(|(operation, hook, attempt)| {
            let (refused, found) = match attempt(cage) {
                Ok(()) => (false, "went through".to_owned()),
                Err(error) => (error.raw_os_error() == Some(hook.errno()), error.to_string()),
            };
            let hook = hook.name().unwrap_or("unknown").to_owned();
            Probe { operation: (*operation).to_owned(), hook, refused, found }
        })
        .collect();
    let mut out = io::stdout();
    writeln!(out, "{}", serde_json::to_string(&probes)?)?;
    Ok(out.flush()?)
}

/// One for each kind of hook.
const ATTEMPTS: &[Attempt] = &[
    ("read a file", Hook::FILE_OPEN, |cage| fs::File::open(cage.join("file")).map(drop)),
    ("create a file", Hook::PATH_MKNOD, |cage| fs::File::create_new(cage.join("new")).map(drop)),
    ("make a directory", Hook::PATH_MKDIR, |cage| fs::create_dir(cage.join("made"))),
    ("delete a file", Hook::PATH_UNLINK, |cage| fs::remove_file(cage.join("victim"))),
    ("delete a directory", Hook::PATH_RMDIR, |cage| fs::remove_dir(cage.join("directory"))),
    ("rename a file", Hook::PATH_RENAME, |cage| fs::rename(cage.join("file"), cage.join("moved"))),
    ("link a file", Hook::PATH_LINK, |cage| fs::hard_link(cage.join("file"), cage.join("linked"))),
    ("make a symbolic link", Hook::PATH_SYMLINK, |cage| symlink("file", cage.join("symbolic"))),
    ("truncate a file", Hook::PATH_TRUNCATE, |cage| {
        let path = c_path(cage.join("file"))?;
        // SAFETY: a path that ends with a NUL, and an integer.
        check(unsafe { libc::truncate(path.as_ptr(), 0) })
    }),
    ("change a file's mode", Hook::PATH_CHMOD, |cage| {
        fs::set_permissions(cage.join("file"), fs::Permissions::from_mode(0o600))
    }),
    ("change a file's owner", Hook::PATH_CHOWN, |cage| chown(cage.join("file"), Some(0), Some(0))),
    ("set an extended attribute", Hook::INODE_SETXATTR, |cage| {
        let path = c_path(cage.join("file"))?;
        let (name, value) = (c"trusted.picket", [0_u8; 1]);
        // SAFETY: a path and a name that end with a NUL, and a buffer of the length given.
        check(unsafe {
            libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
        })
    }),
    ("run a program", Hook::BPRM_CHECK_SECURITY, |_| Err(Command::new(SHELL).exec())),
    ("map a file as code", Hook::MMAP_FILE, |_| map(libc::PROT_READ | libc::PROT_EXEC).map(drop)),
    ("turn a mapping into code", Hook::FILE_MPROTECT, |_| {
        let at = map(libc::PROT_READ)?;
        // SAFETY: a page that was just mapped, and that nothing else uses.
        check(unsafe { libc::mprotect(at, 4096, libc::PROT_READ | libc::PROT_EXEC) })
    }),
    ("connect to a TCP port", Hook::SOCKET_CONNECT, |_| {
        std::net::TcpStream::connect(("127.0.0.1", 9)).map(drop)
    }),
    ("listen on a TCP port", Hook::SOCKET_BIND, |_| {
        std::net::TcpListener::bind(("127.0.0.1", 0)).map(drop)
    }),
    ("send a datagram", Hook::SOCKET_SENDMSG, |_| {
        let address = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 9_u16.to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_be_bytes([127, 0, 0, 1]).to_be() },
            sin_zero: [0; 8],
        };
        // SAFETY: takes integers only; what comes of it is closed with the process.
        let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
        check(socket)?;
        // SAFETY: an empty message, and an address of the length given.
        let sent = unsafe {
            let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            libc::sendto(socket, ptr::null(), 0, 0, (&raw const address).cast(), length)
        };
        check(sent as libc::c_int)
    }),
    ("make a raw socket", Hook::SOCKET_CREATE, |_| {
        // SAFETY: takes integers only; what comes of it is closed with the process.
        check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW) })
    }),
    ("connect to a unix socket", Hook::UNIX_STREAM_CONNECT, |cage| {
        UnixStream::connect(cage.join("server")).map(drop)
    }),
    ("signal another process", Hook::TASK_KILL, |_| {
        // SAFETY: takes integers only; a process that does not ask for this signal does not notice it.
        check(unsafe { libc::kill(libc::getppid(), libc::SIGURG) })
    }),
    ("trace another process", Hook::PTRACE_ACCESS_CHECK, |_| {
        // SAFETY: takes integers only; a seized process runs on, and is let go with this one.
        let code = unsafe { libc::ptrace(libc::PTRACE_SEIZE, libc::getppid(), 0, 0) };
        check(code as libc::c_int)
    }),
    ("use bpf(2)", Hook::BPF, |_| {
        // SAFETY: a command without a structure, which is refused as an error in any case.
        let code = unsafe { libc::syscall(libc::SYS_bpf, 0, ptr::null::<u8>(), 0) };
        check(code as libc::c_int)
    }),
    ("measure the kernel", Hook::PERF_EVENT_OPEN, |_| {
        // `struct perf_event_attr`, version 0 (64 bytes): type 1 is software, configuration 0 its clock.
        let attr: [u32; 16] = [1, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: a structure of the size that it says of itself, and integers.
        let code = unsafe { libc::syscall(libc::SYS_perf_event_open, attr.as_ptr(), 0, -1, -1, 0) };
        check(code as libc::c_int)
    }),
    ("keep a key", Hook::KEY_ALLOC, |_| {
        const PROCESS_KEYRING: libc::c_int = -2;
        let (kind, name, key) = (c"user", c"picket", [0_u8; 1]);
        // SAFETY: texts that end with a NUL, and a buffer of the length given.
        let code = unsafe {
            let (kind, name) = (kind.as_ptr(), name.as_ptr());
            libc::syscall(libc::SYS_add_key, kind, name, key.as_ptr(), key.len(), PROCESS_KEYRING)
        };
        check(code as libc::c_int)
    }),
    ("make a user namespace", Hook::USERNS_CREATE, |_| {
        // SAFETY: takes an integer only.
        check(unsafe { libc::unshare(libc::CLONE_NEWUSER) })
    }),
    ("mount a file system", Hook::SB_MOUNT, |cage| {
        let at = c_path(cage.join("directory"))?;
        // SAFETY: texts that end with a NUL, and no data.
        check(unsafe {
            libc::mount(c"none".as_ptr(), at.as_ptr(), c"tmpfs".as_ptr(), 0, ptr::null())
        })
    }),
    ("change the root directory", Hook::PATH_CHROOT, |cage| {
        let path = c_path(cage.to_owned())?;
        // SAFETY: a path that ends with a NUL.
        check(unsafe { libc::chroot(path.as_ptr()) })
    }),
    ("use a capability", Hook::CAPABLE, |_| {
        // SAFETY: no groups, so nothing is read.
        check(unsafe { libc::setgroups(0, ptr::null()) })
    }),
];

/// Maps a page of a file that may be read.
fn map(protection: libc::c_int) -> io::Result<*mut libc::c_void> {
    let file = fs::File::open(USERS)?;
    // SAFETY: a new mapping where the kernel likes it.
    let at = unsafe {
        libc::mmap(ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
    };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at) }
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn c_path(path: PathBuf) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
