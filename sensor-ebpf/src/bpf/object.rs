//! Sockets and addresses as subjects.
//!
//! The family is always the socket's own: what an address says of itself may differ (UDP takes
//! `AF_UNSPEC` for IPv4, and an IPv6 datagram socket takes IPv4 addresses). Addresses are read
//! from the kernel's copy, never from user memory.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use sensor_ebpf::hook::Fault;
use sensor_ebpf::limits::OBJECT_MAX;
use sensor_ebpf::subject::{KIND_ABSTRACT, ObjectSubject, mapped, transport};

use super::vmlinux::{masked, offset, read};

/// `AF_UNSPEC` (`include/linux/socket.h`).
pub const AF_UNSPEC: u16 = 0;
/// See [`AF_UNSPEC`].
pub const AF_UNIX: u16 = 1;
/// See [`AF_UNSPEC`].
pub const AF_INET: u16 = 2;
/// See [`AF_UNSPEC`].
pub const AF_INET6: u16 = 10;
/// See [`AF_UNSPEC`].
pub const AF_NETLINK: u16 = 16;

/// Bytes of `struct sockaddr_in` that matter: family, port, address.
const SOCKADDR_IN: u32 = 16;
/// `SIN6_LEN_RFC2133`: what the kernel takes for a whole `sockaddr_in6`.
const SOCKADDR_IN6: u32 = 24;

/// A socket, by the addresses of its kernel structures.
#[derive(Clone, Copy)]
pub struct Socket {
    /// `AF_*`.
    pub family: u16,
    /// Transport byte of subjects.
    pub transport: u8,
}

/// An address that a caller named.
#[derive(Clone, Copy)]
pub struct Address {
    /// Whether there is one: the kernel takes `AF_UNSPEC` for none in some calls.
    pub named: bool,
    /// As subjects write it.
    pub address: [u8; 16],
    /// In host order.
    pub port: u16,
}

impl Socket {
    /// The socket of a `struct socket`.
    #[inline(always)]
    pub fn of(socket: u64) -> Result<Socket, Fault> {
        Self::of_sock(read(socket + offset!(socket_sk))?)
    }

    /// The socket of a `struct sock`.
    #[inline(always)]
    pub fn of_sock(sk: u64) -> Result<Socket, Fault> {
        let family = read(sk + offset!(sock_family))?;
        let protocol = read(sk + offset!(sock_protocol))?;
        Ok(Socket { family, transport: transport(protocol) })
    }

    /// Whether it is of one of the IP families.
    #[inline(always)]
    pub fn is_inet(self) -> bool {
        self.family == AF_INET || self.family == AF_INET6
    }

    /// The address that the caller named.
    #[inline(always)]
    pub fn address(self, from: u64, len: u32) -> Result<Address, Fault> {
        if len < 2 {
            return Err(Fault::BAD_ADDRESS);
        }
        let named: u16 = read(from)?;
        if named == AF_INET || (named == AF_UNSPEC && self.family == AF_INET) {
            if len < SOCKADDR_IN {
                return Err(Fault::BAD_ADDRESS);
            }
            let bytes: [u8; 8] = read(from)?;
            let port = u16::from_be_bytes([bytes[2], bytes[3]]);
            let address = mapped([bytes[4], bytes[5], bytes[6], bytes[7]]);
            Ok(Address { named: true, address, port })
        } else if named == AF_INET6 && self.family == AF_INET6 {
            if len < SOCKADDR_IN6 {
                return Err(Fault::BAD_ADDRESS);
            }
            let port: [u8; 2] = read(from + 2)?;
            let address: [u8; 16] = read(from + 8)?;
            Ok(Address { named: true, address, port: u16::from_be_bytes(port) })
        } else if named == AF_UNSPEC {
            Ok(Address { named: false, address: [0; 16], port: 0 })
        } else {
            Err(Fault::BAD_ADDRESS)
        }
    }
}

/// Writes the name of the abstract unix socket in the `sockaddr_un` at `from`, which is `len` bytes
/// long: family (2 bytes), a NUL, the name.
#[inline(always)]
pub fn abstract_name(subject: &mut ObjectSubject, from: u64, len: u32) -> Result<(), Fault> {
    const BEFORE: u32 = 3;
    if len < BEFORE || len - BEFORE >= OBJECT_MAX as u32 {
        return Err(Fault::BAD_ADDRESS);
    }
    let len = masked::<127>(u64::from(len - BEFORE)) as u32;
    subject.bytes[0] = KIND_ABSTRACT;
    subject.len = 1 + len;
    if len == 0 || len >= OBJECT_MAX as u32 {
        return Ok(());
    }
    // SAFETY: one byte is taken and at most OBJECT_MAX - 1 are written behind it.
    let code = unsafe {
        bpf_probe_read_kernel(
            subject.bytes.as_mut_ptr().add(1).cast(),
            len,
            (from + u64::from(BEFORE)) as *const core::ffi::c_void,
        )
    };
    if code == 0 { Ok(()) } else { Err(Fault::UNREADABLE) }
}
