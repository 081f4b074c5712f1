//! The operations. Each is one closure that does the thing once; a failure ends the program, for a
//! refused operation would look cheap.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{WORK, c_path};

/// One operation.
pub struct Op {
    /// Its name in the table.
    pub name: &'static str,
    times: u32,
    body: Box<dyn Fn()>,
}

impl Op {
    fn new(name: &'static str, times: u32, body: impl Fn() + 'static) -> Op {
        Op { name, times, body: Box::new(body) }
    }

    /// Nanoseconds for one, by the guest's clock; warmed up.
    pub fn nanoseconds(&self) -> f64 {
        for _ in 0..self.times / 10 + 2 {
            (self.body)();
        }
        let start = Instant::now();
        for _ in 0..self.times {
            (self.body)();
        }
        start.elapsed().as_nanos() as f64 / f64::from(self.times)
    }
}

/// A file this many directories below the root.
pub fn deep(depth: usize) -> PathBuf {
    let mut path = PathBuf::from(WORK);
    for level in 3..=depth {
        path.push(level.to_string());
    }
    if depth == 1 { PathBuf::from("/tmp/f") } else { path.join("f") }
}

fn check(code: impl Into<i64>, what: &str) -> i32 {
    let code = code.into();
    assert!(code >= 0, "{what}: {}", std::io::Error::last_os_error());
    code as i32
}

/// What makes an operation ready to be measured.
pub type Make = fn() -> Op;

/// All of them, by name. Each is made only if it is measured, so that a policy need not allow the
/// others.
pub const ALL: &[(&str, Make)] = &[
    ("open1", || open("open1", &deep(1))),
    ("open3", || open("open3", &deep(3))),
    ("open8", || open("open8", &deep(8))),
    ("create_unlink", create_unlink),
    ("rename x2", rename),
    ("read", read),
    ("chmod", chmod),
    ("utimensat", utimensat),
    ("setxattr", setxattr),
    ("ioctl", ioctl),
    ("mmap", mmap),
    ("stat", stat),
    ("fork+exit", fork),
    ("tcp connection", connect),
    ("udp sendto+recv", sendto),
    ("tcp send+recv", send),
    ("unix send+recv", unix_send),
    ("unix connection", unix_connect),
    ("setsockopt", set_option),
    ("shmget+rmid", shared_memory),
    ("getppid", getppid),
    ("fcntl", fcntl),
    ("capability", capability),
    ("signal", signal),
];

fn getppid() -> Op {
    Op::new("getppid", 2000, || {
        // SAFETY: takes nothing.
        unsafe { libc::syscall(libc::SYS_getppid) };
    })
}

/// A `fcntl` that means nothing to Picket.
fn fcntl() -> Op {
    Op::new("fcntl", 2000, || {
        // SAFETY: takes integers.
        check(unsafe { libc::fcntl(0, libc::F_GETFD) }, "fcntl");
    })
}

/// Using a capability: root opens a file that it could not open without one.
fn capability() -> Op {
    use std::os::unix::fs::{PermissionsExt, chown};
    let path = Path::new(WORK).join("others");
    std::fs::write(&path, b"").expect("the working directory is writable");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("it is root's");
    chown(&path, Some(1), Some(1)).expect("root may");
    open("capability", &path)
}

/// A signal to oneself that does nothing.
fn signal() -> Op {
    Op::new("signal", 1000, || {
        // SAFETY: takes integers.
        check(unsafe { libc::kill(libc::getpid(), libc::SIGURG) }, "kill");
    })
}

/// Opening and closing a file that exists.
fn open(name: &'static str, path: &Path) -> Op {
    let path = c_path(path);
    Op::new(name, 1000, move || {
        // SAFETY: a C string that lives as long as the closure.
        unsafe {
            libc::close(check(libc::open(path.as_ptr(), libc::O_RDONLY), "open"));
        }
    })
}

fn create_unlink() -> Op {
    let path = c_path(&Path::new(WORK).join("new"));
    Op::new("create_unlink", 500, move || {
        // SAFETY: as in `open`.
        unsafe {
            let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY;
            libc::close(check(libc::open(path.as_ptr(), flags, 0o600), "create"));
            check(libc::unlink(path.as_ptr()), "unlink");
        }
    })
}

fn rename() -> Op {
    let (a, b) = (c_path(&Path::new(WORK).join("a")), c_path(&Path::new(WORK).join("b")));
    std::fs::write(Path::new(WORK).join("a"), b"").expect("the working directory is writable");
    Op::new("rename x2", 500, move || {
        // SAFETY: as in `open`.
        unsafe {
            check(libc::rename(a.as_ptr(), b.as_ptr()), "rename");
            check(libc::rename(b.as_ptr(), a.as_ptr()), "rename");
        }
    })
}

fn read() -> Op {
    let path = c_path(&deep(3));
    // SAFETY: as in `open`.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) }, "open");
    Op::new("read", 2000, move || {
        let mut buffer = [0_u8; 64];
        // SAFETY: the buffer is as long as said.
        check(unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), 64, 0) } as i64, "read");
    })
}

/// Changing the mode of a file.
fn chmod() -> Op {
    let path = c_path(&deep(3));
    Op::new("chmod", 1000, move || {
        // SAFETY: as in `open`.
        check(unsafe { libc::chmod(path.as_ptr(), 0o644) }, "chmod");
    })
}

/// Setting both times of a file: the hook for it has to find out the file's name without its mount.
fn utimensat() -> Op {
    let path = c_path(&deep(3));
    let times = [libc::timespec { tv_sec: 1, tv_nsec: 0 }; 2];
    Op::new("utimensat", 1000, move || {
        // SAFETY: as in `open`, and two whole times.
        let code = unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0) };
        check(code, "utimensat");
    })
}

/// Setting an extended attribute to the value that it has.
fn setxattr() -> Op {
    let (path, value) = (c_path(&deep(3)), b"1");
    Op::new("setxattr", 500, move || {
        // SAFETY: as in `open`, and a value of the length given.
        let code = unsafe {
            libc::setxattr(path.as_ptr(), c"user.a".as_ptr(), value.as_ptr().cast(), 1, 0)
        };
        check(code, "setxattr");
    })
}

/// The command that is given most often: whether a file is a terminal.
fn ioctl() -> Op {
    let path = c_path(&deep(3));
    // SAFETY: as in `open`.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) }, "open");
    Op::new("ioctl", 2000, move || {
        // SAFETY: takes a descriptor.
        assert_eq!(unsafe { libc::isatty(fd) }, 0, "a file is no terminal");
    })
}

/// Mapping a page of a file to be read, and taking it off.
fn mmap() -> Op {
    let path = c_path(&deep(3));
    // SAFETY: as in `open`.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) }, "open");
    Op::new("mmap", 1000, move || {
        // SAFETY: a new mapping, which nobody looks into before it is taken off.
        unsafe {
            let at =
                libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0);
            assert_ne!(at, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
            check(libc::munmap(at, 4096), "munmap");
        }
    })
}

fn stat() -> Op {
    let path = c_path(&deep(3));
    Op::new("stat", 1000, move || {
        let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
        // SAFETY: a C string, and room for a whole structure.
        check(unsafe { libc::stat(path.as_ptr(), stat.as_mut_ptr()) }, "stat");
    })
}

fn fork() -> Op {
    Op::new("fork+exit", 100, || {
        // SAFETY: the child only ends.
        unsafe {
            let child = check(libc::fork(), "fork");
            if child == 0 {
                libc::_exit(0);
            }
            check(libc::waitpid(child, std::ptr::null_mut(), 0), "wait");
        }
    })
}

/// A whole connection: socket, connect, accept, close of both ends.
fn connect() -> Op {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is up");
    let to = listener.local_addr().expect("it is bound");
    Op::new("tcp connection", 200, move || {
        let client = TcpStream::connect(to).expect("it listens");
        let (server, _) = listener.accept().expect("one is waiting");
        socket_reset(&client);
        drop((client, server));
    })
}

/// Leaves no connection behind in TIME_WAIT.
fn socket_reset(stream: &TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the option's value is a live structure of the size given.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
}

fn sendto() -> Op {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is up");
    let to = receiver.local_addr().expect("it is bound");
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is up");
    Op::new("udp sendto+recv", 500, move || {
        let mut buffer = [0; 8];
        sender.send_to(b"x", to).expect("loopback takes it");
        receiver.recv(&mut buffer).expect("it was sent");
    })
}

/// Over a connection that stands: what nothing has to be judged for.
fn send() -> Op {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is up");
    let to = listener.local_addr().expect("it is bound");
    let client = TcpStream::connect(to).expect("it listens");
    let (server, _) = listener.accept().expect("one is waiting");
    client.set_nodelay(true).expect("it is TCP");
    exchange("tcp send+recv", client, server)
}

fn unix_send() -> Op {
    let (one, other) = UnixStream::pair().expect("a pair needs nothing");
    exchange("unix send+recv", one, other)
}

fn exchange<T: 'static>(name: &'static str, from: T, to: T) -> Op
where
    for<'t> &'t T: Read + Write,
{
    Op::new(name, 500, move || {
        (&from).write_all(b"x").expect("somebody listens");
        (&to).read_exact(&mut [0]).expect("it was sent");
    })
}

/// A whole connection to a server of one's own.
fn unix_connect() -> Op {
    let path = Path::new(WORK).join("server");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("the working directory is writable");
    Op::new("unix connection", 200, move || {
        let client = UnixStream::connect(&path).expect("it listens");
        drop((client, listener.accept().expect("one is waiting")));
    })
}

fn set_option() -> Op {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is up");
    Op::new("setsockopt", 1000, move || socket.set_broadcast(true).expect("it is UDP"))
}

fn shared_memory() -> Op {
    Op::new("shmget+rmid", 200, || {
        // SAFETY: takes numbers only.
        unsafe {
            let id = check(libc::shmget(libc::IPC_PRIVATE, 4096, 0o600), "shmget");
            check(libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()), "shmctl");
        }
    })
}
