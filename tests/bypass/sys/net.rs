//! Sockets, used as only attackers use them.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use super::owned;
use crate::support::sys::net::{Address, send_to, socket};
use crate::support::sys::{Mut, Ref, Res, Word as _, sys};

/// `MSG_FASTOPEN`: connects by sending.
pub fn fast_open(family: i32, to: &Address) -> Res {
    let socket = socket(family, libc::SOCK_STREAM, 0)?;
    send_to(&socket, b"x", libc::MSG_FASTOPEN, to)
}

/// One datagram.
pub fn datagram(family: i32, to: &Address) -> Res {
    send_to(&socket(family, libc::SOCK_DGRAM, 0)?, b"x", 0, to)
}

/// `setsockopt(2)`.
pub fn set_option(socket: &OwnedFd, level: i32, name: i32, value: &[u8]) -> Res {
    sys!(SYS_setsockopt, socket.as_raw_fd(), level, name, value, value.len()).map(drop)
}

/// `listen(2)` on a socket that was never bound, so that the kernel chooses a port.
pub fn listen_unbound(family: i32) -> Res<OwnedFd> {
    let server = socket(family, libc::SOCK_STREAM, 0)?;
    sys!(SYS_listen, server.as_raw_fd(), 8)?;
    Ok(server)
}

/// `accept4(2)`.
pub fn accept(server: &OwnedFd) -> Res<OwnedFd> {
    sys!(SYS_accept4, server.as_raw_fd(), 0, 0, libc::SOCK_CLOEXEC).map(owned)
}

/// Passes a descriptor on (`SCM_RIGHTS`).
pub fn pass(through: &OwnedFd, descriptor: RawFd) -> Res {
    let byte = [0_u8];
    let piece = [(&byte[..]).word(), 1];
    // `struct cmsghdr`: length, level and type, then the descriptor.
    let control = [20_u64, libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32, {
        u64::from(descriptor.cast_unsigned())
    }];
    let header = [0, 0, Ref(&piece).word(), 1, Ref(&control).word(), 24, 0];
    sys!(SYS_sendmsg, through.as_raw_fd(), Ref(&header), 0).map(drop)
}

/// Takes a descriptor that was passed; `None` where the kernel kept it back.
pub fn receive(through: &OwnedFd) -> Res<Option<OwnedFd>> {
    let mut byte = [0_u8];
    let piece = [byte.as_mut_ptr() as usize, 1];
    let mut control = [0_u64; 4];
    let mut header = [0, 0, Ref(&piece).word(), 1, Mut(&mut control).word(), 32, 0];
    sys!(SYS_recvmsg, through.as_raw_fd(), Mut(&mut header), 0)?;
    // A message without a descriptor has no control part at all.
    let given = header[5] >= 20 && control[0] >= 20;
    Ok(given.then(|| owned(i64::from(control[2] as u32))))
}
