//! Sockets.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{Mut, Ref, Res, Word as _, sys};

/// A socket address as the kernel takes it.
#[derive(Clone, Debug)]
pub struct Address(pub Vec<u8>);

impl Address {
    /// Of IPv4 or IPv6, as text.
    pub fn inet(text: &str) -> Address {
        match text.parse() {
            Ok(SocketAddr::V4(_)) => Address::inet_as(libc::AF_INET, text),
            Ok(SocketAddr::V6(_)) => Address::inet_as(libc::AF_INET6, text),
            Err(error) => panic!("{text}: {error}"),
        }
    }

    /// The same, calling itself of a family of one's choice.
    pub fn inet_as(family: i32, text: &str) -> Address {
        let mut bytes = (family as u16).to_ne_bytes().to_vec();
        match text.parse() {
            Ok(SocketAddr::V4(v4)) => {
                bytes.extend(v4.port().to_be_bytes());
                bytes.extend(v4.ip().octets());
                bytes.extend([0; 8]);
            }
            Ok(SocketAddr::V6(v6)) => {
                bytes.extend(v6.port().to_be_bytes());
                bytes.extend([0; 4]);
                bytes.extend(v6.ip().octets());
                bytes.extend([0; 4]);
            }
            Err(error) => panic!("{text}: {error}"),
        }
        Address(bytes)
    }

    /// A unix socket with a path.
    pub fn unix(path: impl AsRef<Path>) -> Address {
        let mut bytes = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
        bytes.extend(path.as_ref().as_os_str().as_bytes());
        bytes.push(0);
        Address(bytes)
    }

    /// An abstract unix socket.
    pub fn hidden(name: &str) -> Address {
        let mut bytes = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
        bytes.push(0);
        bytes.extend(name.as_bytes());
        Address(bytes)
    }

    /// A family that is none, and nothing else: takes a connection back.
    pub fn unspecified() -> Address {
        Address(vec![0; 16])
    }
}

/// `socket(2)`.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Res<OwnedFd> {
    let fd = sys!(SYS_socket, family, kind | libc::SOCK_CLOEXEC, protocol)?;
    // SAFETY: a descriptor that the kernel has just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `bind(2)`.
pub fn bind(socket: &OwnedFd, to: &Address) -> Res {
    sys!(SYS_bind, socket.as_raw_fd(), &to.0[..], to.0.len()).map(drop)
}

/// Lets [`bind`] take an address that was used a moment ago.
pub fn reuse(socket: &OwnedFd) -> Res {
    let (on, name) = (1_i32, libc::SO_REUSEADDR);
    let size = size_of_val(&on);
    sys!(SYS_setsockopt, socket.as_raw_fd(), libc::SOL_SOCKET, name, Ref(&on), size).map(drop)
}

/// `setsockopt(2)`.
pub fn set_option(socket: &OwnedFd, level: i32, name: i32, value: &[u8]) -> Res {
    sys!(SYS_setsockopt, socket.as_raw_fd(), level, name, value, value.len()).map(drop)
}

/// `accept4(2)`.
pub fn accept(socket: &OwnedFd) -> Res<OwnedFd> {
    let fd = sys!(SYS_accept4, socket.as_raw_fd(), 0, 0, libc::SOCK_CLOEXEC)?;
    // SAFETY: a descriptor that the kernel has just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `listen(2)`.
pub fn listen(socket: &OwnedFd) -> Res {
    sys!(SYS_listen, socket.as_raw_fd(), 64).map(drop)
}

/// `connect(2)`.
pub fn connect(socket: &OwnedFd, to: &Address) -> Res {
    sys!(SYS_connect, socket.as_raw_fd(), &to.0[..], to.0.len()).map(drop)
}

/// `sendto(2)`.
pub fn send_to(socket: &OwnedFd, bytes: &[u8], flags: i32, to: &Address) -> Res {
    let (length, address_length) = (bytes.len(), to.0.len());
    sys!(SYS_sendto, socket.as_raw_fd(), bytes, length, flags, &to.0[..], address_length).map(drop)
}

/// `sendto(2)` on a socket whose peer is fixed.
pub fn send(socket: &OwnedFd, bytes: &[u8]) -> Res {
    sys!(SYS_sendto, socket.as_raw_fd(), bytes, bytes.len(), libc::MSG_NOSIGNAL, 0, 0).map(drop)
}

/// `struct msghdr` for one piece of data.
fn message(to: &Address, piece: &[usize; 2]) -> [usize; 7] {
    [(&to.0[..]).word(), to.0.len(), Ref(piece).word(), 1, 0, 0, 0]
}

/// `sendmsg(2)`.
pub fn send_message(socket: &OwnedFd, bytes: &[u8], to: &Address) -> Res {
    let piece = [bytes.word(), bytes.len()];
    let header = message(to, &piece);
    sys!(SYS_sendmsg, socket.as_raw_fd(), Ref(&header), 0).map(drop)
}

/// The same on a socket whose peer is fixed.
pub fn send_message_on(socket: &OwnedFd, bytes: &[u8]) -> Res {
    let piece = [bytes.word(), bytes.len()];
    let header = [0, 0, Ref(&piece).word(), 1, 0, 0, 0];
    sys!(SYS_sendmsg, socket.as_raw_fd(), Ref(&header), libc::MSG_NOSIGNAL).map(drop)
}

/// A control message of `sendmsg(2)`.
pub fn control(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
    let mut bytes = (16 + data.len()).to_ne_bytes().to_vec();
    bytes.extend(level.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// `sendmsg(2)` with control messages.
pub fn send_with(socket: &OwnedFd, bytes: &[u8], to: &Address, controls: &[u8]) -> Res {
    let piece = [bytes.word(), bytes.len()];
    let mut header = message(to, &piece);
    (header[4], header[5]) = (controls.word(), controls.len());
    sys!(SYS_sendmsg, socket.as_raw_fd(), Ref(&header), 0).map(drop)
}

/// `sendmmsg(2)` of one datagram to each; how many were sent.
pub fn send_messages(socket: &OwnedFd, bytes: &[u8], to: &[&Address]) -> Res<i64> {
    let piece = [bytes.word(), bytes.len()];
    let with_count = |address: &&Address| {
        let [a, b, c, d, e, f, g] = message(address, &piece);
        [a, b, c, d, e, f, g, 0]
    };
    let mut headers: Vec<[usize; 8]> = to.iter().map(with_count).collect();
    let count = headers.len();
    sys!(SYS_sendmmsg, socket.as_raw_fd(), &mut headers[..], count, 0)
}

/// `socketpair(2)` of unix sockets.
pub fn pair(kind: i32) -> Res<(OwnedFd, OwnedFd)> {
    let mut ends = [0_i32; 2];
    sys!(SYS_socketpair, libc::AF_UNIX, kind, 0, Mut(&mut ends))?;
    // SAFETY: descriptors that the kernel has just made.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// A socket that is bound, for somebody to talk to.
pub fn receiver(at: &Address, family: i32, kind: i32) -> OwnedFd {
    let bound = socket(family, kind, 0).and_then(|server| {
        reuse(&server)?;
        bind(&server, at)?;
        Ok(server)
    });
    bound.unwrap_or_else(|error| panic!("cannot bind {at:?}: {error:?}"))
}

/// A socket that listens.
pub fn listener(at: &Address, family: i32, kind: i32) -> OwnedFd {
    let server = receiver(at, family, kind);
    let listens = listen(&server);
    assert!(listens.is_ok(), "listen: {listens:?}");
    server
}

/// Sends a descriptor (`SCM_RIGHTS`, `unix(7)`) to a connected peer.
pub fn send_file(socket: &OwnedFd, file: &OwnedFd) -> Res {
    let controls = control(libc::SOL_SOCKET, libc::SCM_RIGHTS, &file.as_raw_fd().to_ne_bytes());
    let byte = &b"f"[..];
    let piece = [byte.word(), 1];
    let header = [0, 0, Ref(&piece).word(), 1, (&controls[..]).word(), 20, 0];
    sys!(SYS_sendmsg, socket.as_raw_fd(), Ref(&header), libc::MSG_NOSIGNAL).map(drop)
}

/// Receives what [`send_file`] sent; `None` where the kernel has dropped it on the way.
pub fn receive_file(socket: &OwnedFd) -> Res<Option<OwnedFd>> {
    let (mut data, mut controls) = ([0_u8; 1], [0_u64; 4]);
    let (room, size) = (data.as_mut_slice(), size_of_val(&controls));
    let piece = [room.word(), room.len()];
    let room = controls.as_mut_slice();
    let mut header = [0, 0, Ref(&piece).word(), 1, room.word(), size, 0];
    let count = sys!(SYS_recvmsg, socket.as_raw_fd(), Mut(&mut header), libc::MSG_CMSG_CLOEXEC)?;
    assert_eq!(count, 1, "the peer has sent nothing");
    // Length, level and kind, descriptor.
    let came = header[5] >= 20 && controls[0] == 20;
    // SAFETY: a descriptor that the kernel has just made.
    Ok(came.then(|| unsafe { OwnedFd::from_raw_fd(controls[2] as u32 as RawFd) }))
}
