//! Sockets and addresses as subjects.
//!
//! The family is always the socket's own: what an address says of itself may differ (UDP takes
//! `AF_UNSPEC` for IPv4, and an IPv6 datagram socket takes IPv4 addresses). Addresses are read
//! from the kernel's copy, never from user memory.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use sensor_ebpf::hook::Fault;
use sensor_ebpf::limits::OBJECT_MAX;
use sensor_ebpf::subject::{KIND_ABSTRACT, ObjectSubject, TRANSPORT_OTHER, mapped, transport};

use super::vmlinux::{Opaque, load, masked, offset, read};

/// `AF_UNSPEC` (`include/linux/socket.h`).
pub const AF_UNSPEC: u16 = 0;
/// See [`AF_UNSPEC`].
pub const AF_UNIX: u16 = 1;
/// See [`AF_UNSPEC`].
pub const AF_INET: u16 = 2;
/// See [`AF_UNSPEC`].
pub const AF_INET6: u16 = 10;
/// `SOCK_RAW` (`include/linux/net.h`).
const SOCK_RAW: u16 = 3;

/// Bytes of `struct sockaddr_in` that matter: family, port, address.
const SOCKADDR_IN: u32 = 16;
/// `SIN6_LEN_RFC2133`: what the kernel takes for a whole `sockaddr_in6`.
const SOCKADDR_IN6: u32 = 24;

/// What a socket is.
#[derive(Clone, Copy)]
pub struct Socket {
    /// Its `struct sock`.
    pub sk: *const Opaque,
    /// `AF_*`.
    pub family: u16,
    /// `SOCK_*`.
    pub kind: u16,
    /// `IPPROTO_*` or the family's own numbers.
    pub protocol: u16,
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

impl Address {
    /// None.
    pub const NONE: Address = Address { named: false, address: [0; 16], port: 0 };
}

/// The `struct sock` of a `struct socket`. Since 6.8 the verifier takes it for one that may be null.
#[inline(always)]
pub fn sock_of(socket: *const Opaque) -> Result<*const Opaque, Fault> {
    // SAFETY: a hook's `struct socket *` argument, and one of its pointer fields.
    let sk: *const Opaque = unsafe { load(socket, offset!(socket_sk)) };
    if sk.is_null() { Err(Fault::UNREADABLE) } else { Ok(sk) }
}

impl Socket {
    /// The socket of a hook's `struct socket *`.
    #[inline(always)]
    pub fn of(socket: *const Opaque) -> Result<Socket, Fault> {
        let sk = sock_of(socket)?;
        // SAFETY: a `struct sock` that the verifier knows, and three of its 16-bit fields.
        let (family, kind, protocol): (u16, u16, u16) = unsafe {
            (
                load(sk, offset!(sock_family)),
                load(sk, offset!(sock_type)),
                load(sk, offset!(sock_protocol)),
            )
        };
        // A raw socket writes its own headers: what they say is no address that anybody judged.
        let transport = if kind == SOCK_RAW { TRANSPORT_OTHER } else { transport(protocol) };
        Ok(Socket { sk, family, kind, protocol, transport })
    }

    /// Whether rules can name its peers: TCP, UDP and ICMP echo over IPv4 or IPv6.
    #[inline(always)]
    pub fn is_addressed(self) -> bool {
        (self.family == AF_INET || self.family == AF_INET6) && self.transport != TRANSPORT_OTHER
    }

    /// The address that it is bound to, or will be when it listens; port 0 is any free one.
    #[inline(always)]
    pub fn local(self) -> Address {
        // SAFETY: a `struct sock` that the verifier knows, and its own addresses.
        unsafe {
            let port = load(self.sk, offset!(sock_local_port));
            let address = if self.family == AF_INET {
                mapped(load(self.sk, offset!(sock_local_v4)))
            } else {
                pair(
                    load(self.sk, offset!(sock_local_v6)),
                    load(self.sk, offset!(sock_local_v6) + 8),
                )
            };
            Address { named: true, address, port }
        }
    }

    /// Whether it is connected, or about to be.
    #[inline(always)]
    pub fn is_connected(self) -> bool {
        // SAFETY: as in `local`. A ping socket's peer has no port.
        unsafe {
            if load::<u16>(self.sk, offset!(sock_peer_port)) != 0 {
                true
            } else if self.family == AF_INET {
                load::<u32>(self.sk, offset!(sock_peer_v4)) != 0
            } else {
                let (first, second): (u64, u64) = (
                    load(self.sk, offset!(sock_peer_v6)),
                    load(self.sk, offset!(sock_peer_v6) + 8),
                );
                first | second != 0
            }
        }
    }

    /// The address that it is connected to.
    #[inline(always)]
    pub fn peer(self) -> Address {
        // SAFETY: as in `local`.
        unsafe {
            let port = u16::from_be(load(self.sk, offset!(sock_peer_port)));
            let address = if self.family == AF_INET {
                mapped(load(self.sk, offset!(sock_peer_v4)))
            } else {
                pair(load(self.sk, offset!(sock_peer_v6)), load(self.sk, offset!(sock_peer_v6) + 8))
            };
            Address { named: true, address, port }
        }
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
            Ok(Address::NONE)
        } else {
            Err(Fault::BAD_ADDRESS)
        }
    }
}

/// The 16 bytes that two words in memory order are.
#[inline(always)]
fn pair(first: u64, second: u64) -> [u8; 16] {
    let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) =
        (first.to_ne_bytes(), second.to_ne_bytes());
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
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
