//! Sockets: making, connecting and using them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use super::{Entry, Op, at, check, entry};

/// Both ends of a connection.
const CONNECTION: &str =
    "socket_create, socket_post_create, socket_connect, socket_accept, socket_setsockopt";

/// All of them.
pub const ALL: &[Entry] = &[
    entry("socket", "socket_create, socket_post_create", socket),
    entry("bind", "socket_create, socket_post_create, socket_bind", bind),
    entry("listen", "socket_listen", listen),
    entry("setsockopt", "socket_setsockopt", set_option),
    entry("tcp connection", CONNECTION, connect),
    entry("tcp send+recv", "socket_sendmsg", send),
    entry("udp sendto+recv", "socket_sendmsg", sendto),
    entry(
        "unix connection",
        "socket_create, socket_post_create, unix_stream_connect, socket_accept",
        unix_connect,
    ),
    entry("unix send+recv", "socket_sendmsg", unix_send),
    entry("unix sendto+recv", "socket_sendmsg, unix_may_send", unix_sendto),
    entry("descriptor passed", "socket_sendmsg, file_receive", pass),
];

fn socket() -> Op {
    Op::new(500, || {
        // SAFETY: takes integers.
        unsafe {
            libc::close(check(libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0), "socket"));
        }
    })
}

/// A new socket on a port that the kernel chooses.
fn bind() -> Op {
    Op::new(200, || drop(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is up")))
}

/// A socket that listens already.
fn listen() -> Op {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is up");
    Op::new(1000, move || {
        // SAFETY: takes integers.
        check(unsafe { libc::listen(listener.as_raw_fd(), 128) }, "listen");
    })
}

fn set_option() -> Op {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is up");
    Op::new(1000, move || socket.set_broadcast(true).expect("it is UDP"))
}

/// A whole connection: socket, connect, accept, close of both ends.
fn connect() -> Op {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is up");
    let to = listener.local_addr().expect("it is bound");
    Op::new(200, move || {
        let client = TcpStream::connect(to).expect("it listens");
        let (server, _) = listener.accept().expect("one is waiting");
        socket_reset(&client);
        drop((client, server));
    })
}

/// Leaves no connection behind in TIME_WAIT.
fn socket_reset(stream: &TcpStream) {
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
    Op::new(500, move || {
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
    exchange(client, server)
}

fn unix_send() -> Op {
    let (one, other) = UnixStream::pair().expect("a pair needs nothing");
    exchange(one, other)
}

fn exchange<T: 'static>(from: T, to: T) -> Op
where
    for<'t> &'t T: Read + Write,
{
    Op::new(500, move || {
        (&from).write_all(b"x").expect("somebody listens");
        (&to).read_exact(&mut [0]).expect("it was sent");
    })
}

/// A whole connection to a server of one's own.
fn unix_connect() -> Op {
    let path = at("server");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("the working directory is writable");
    Op::new(200, move || {
        let client = UnixStream::connect(&path).expect("it listens");
        drop((client, listener.accept().expect("one is waiting")));
    })
}

fn unix_sendto() -> Op {
    let path = at("datagrams");
    let _ = std::fs::remove_file(&path);
    let receiver = UnixDatagram::bind(&path).expect("the working directory is writable");
    let sender = UnixDatagram::unbound().expect("it needs nothing");
    Op::new(500, move || {
        sender.send_to(b"x", &path).expect("somebody listens");
        receiver.recv(&mut [0; 8]).expect("it was sent");
    })
}

/// A descriptor of a file that one end of a pair sends to the other.
fn pass() -> Op {
    let (one, other) = UnixStream::pair().expect("a pair needs nothing");
    let file = std::fs::File::open(super::deep(3)).expect("it may be read");
    Op::new(500, move || {
        send_descriptor(&one, file.as_raw_fd());
        // SAFETY: a descriptor that nobody else knows.
        unsafe { libc::close(receive_descriptor(&other)) };
    })
}

/// Room for a control message with one descriptor, aligned as `cmsghdr` must be.
#[repr(C, align(8))]
struct Control([u8; 24]);

/// Calls `body` with a message of one byte and room for a descriptor.
fn message(control: &mut Control, body: impl FnOnce(&mut libc::msghdr) -> isize) {
    let mut byte = 0_u8;
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: all zeros is a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut *control).cast();
    message.msg_controllen = size_of::<Control>();
    check(body(&mut message) as i64, "a message with a descriptor");
}

fn send_descriptor(to: &UnixStream, descriptor: i32) {
    let mut control = Control([0; 24]);
    message(&mut control, |message| {
        // SAFETY: the room is a header and an integer, and aligned.
        unsafe {
            let head = libc::CMSG_FIRSTHDR(message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(4) as usize;
            libc::CMSG_DATA(head).cast::<i32>().write(descriptor);
            message.msg_controllen = (*head).cmsg_len;
            libc::sendmsg(to.as_raw_fd(), message, 0)
        }
    });
}

fn receive_descriptor(from: &UnixStream) -> i32 {
    let mut control = Control([0; 24]);
    // SAFETY: a message with room for one byte and a descriptor.
    message(&mut control, |message| unsafe { libc::recvmsg(from.as_raw_fd(), message, 0) });
    // SAFETY: what the kernel has written: a header and an integer.
    let descriptor = unsafe { control.0.as_ptr().add(16).cast::<i32>().read() };
    assert!(descriptor > 0, "no descriptor came");
    descriptor
}
