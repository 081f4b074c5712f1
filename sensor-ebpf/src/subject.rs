//! Subjects of the object space: everything that is judged and has no canonical path, written as
//! bytes so that the same automata judge it. The first byte says what kind of object it is.
//!
//! | kind | bytes that follow |
//! |---|---|
//! | [`KIND_FAMILY`] | family (2, big-endian), type (1), protocol (2, big-endian) |
//! | [`KIND_INET`] | transport (1), address (16, IPv4 as `::ffff:a.b.c.d`), port (2, big-endian) |
//! | [`KIND_ABSTRACT`] | the name of an abstract unix socket, without its leading NUL |
//! | [`KIND_ANON`] | one of the `ANON_*` bytes: a file that lives on no mounted file system |
//! | [`KIND_IOCTL`] | the command (4, big-endian); only named in events, beside the file |
//! | [`KIND_IPC`] | id (4, big-endian) and key (4) of a System V object; only named in events |
//! | [`KIND_OPTION`] | level (4, big-endian) and number (4) of a socket option; only named in events |
//! | [`KIND_PROCESS`] | act (1, [`Act`]), pid (4, big-endian) of a process outside the agent |
//! | [`KIND_CAPABILITY`] | number (1, [`Capability`]) |
//! | [`KIND_MODULE`] | the name of a kernel module; only named in events |

use crate::act::Act;
use crate::capability::Capability;
use crate::limits::OBJECT_MAX;

/// A socket to be made.
pub const KIND_FAMILY: u8 = 1;
/// A peer or local address of an IPv4 or IPv6 socket.
pub const KIND_INET: u8 = 2;
/// An abstract unix socket.
pub const KIND_ABSTRACT: u8 = 3;
/// A file without a name: a pipe, a memfd and the like, opened through `/proc/PID/fd`.
pub const KIND_ANON: u8 = 4;
/// An act on a process outside the agent. Rules speak of the act alone; events name the process too.
pub const KIND_PROCESS: u8 = 5;
/// A System V object that the agent did not make.
pub const KIND_IPC: u8 = 17;
/// A kernel module that the kernel would load; only named in events.
pub const KIND_MODULE: u8 = 7;
/// A socket option or control message that no agent may use; see [`crate::sockopt`].
pub const KIND_OPTION: u8 = 16;
/// A capability that is used.
pub const KIND_CAPABILITY: u8 = 6;

/// A command of `ioctl(2)`; only named in events, beside the file.
pub const KIND_IOCTL: u8 = 32;

/// Transports, numbered as IP protocols; anything else cannot be expressed and is
/// [`TRANSPORT_OTHER`], which no policy can allow.
pub const TRANSPORT_TCP: u8 = 6;
/// See [`TRANSPORT_TCP`].
pub const TRANSPORT_UDP: u8 = 17;
/// ICMP echo sockets of both families (protocols 1 and 58).
pub const TRANSPORT_ICMP: u8 = 1;
/// See [`TRANSPORT_TCP`].
pub const TRANSPORT_OTHER: u8 = 255;

/// A pipe (`pipefs`).
pub const ANON_PIPE: u8 = b'p';
/// A memfd or other internal shared memory (an internal `tmpfs` mount).
pub const ANON_MEMORY: u8 = b'm';
/// A pidfd: since 6.9 making one opens a file (`fs/pidfs.c`).
pub const ANON_PIDFD: u8 = b'i';
/// A socket (`sockfs`).
pub const ANON_SOCKET: u8 = b's';
/// A POSIX message queue.
pub const ANON_QUEUE: u8 = b'q';
/// Any other object of a mount that the kernel keeps to itself.
pub const ANON_OTHER: u8 = b'o';

/// Length of a [`KIND_INET`] subject.
pub const INET_LEN: usize = 20;
/// Length of a [`KIND_FAMILY`] subject.
pub const FAMILY_LEN: usize = 6;
/// Longest name of a module in a [`KIND_MODULE`] subject, with its NUL (`MODULE_NAME_LEN`).
pub const MODULE_MAX: usize = 64;
/// Length of a [`KIND_PROCESS`] subject.
pub const PROCESS_LEN: usize = 6;

/// The bytes of an object subject.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ObjectSubject {
    /// The subject, `len` bytes of it in use, the rest zero.
    pub bytes: [u8; OBJECT_MAX],
    /// Bytes in use.
    pub len: u32,
}

/// `::ffff:0:0`, the prefix under which IPv4 addresses are written.
pub const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Transport byte of an IP protocol number (`sk_protocol`, 16 bits: MPTCP is 262).
#[inline(always)]
#[must_use]
pub const fn transport(protocol: u16) -> u8 {
    match protocol {
        6 => TRANSPORT_TCP,
        17 => TRANSPORT_UDP,
        1 | 58 => TRANSPORT_ICMP,
        _ => TRANSPORT_OTHER,
    }
}

/// An IPv4 address as the 16 bytes that subjects use.
#[inline(always)]
#[must_use]
pub const fn mapped(v4: [u8; 4]) -> [u8; 16] {
    let mut address = [0; 16];
    address[10] = 0xff;
    address[11] = 0xff;
    address[12] = v4[0];
    address[13] = v4[1];
    address[14] = v4[2];
    address[15] = v4[3];
    address
}

/// The address that a connection to `address` really goes to: the kernel takes the unspecified
/// addresses for its own loopback (`ip_route_output_key_hash_rcu`, `tcp_v6_connect`). A *bound*
/// unspecified address means all of them and must not be passed through here.
#[inline(always)]
#[must_use]
pub fn destination(address: [u8; 16]) -> [u8; 16] {
    let high = u64::from_be_bytes([
        address[0], address[1], address[2], address[3], address[4], address[5], address[6],
        address[7],
    ]);
    let low = u64::from_be_bytes([
        address[8],
        address[9],
        address[10],
        address[11],
        address[12],
        address[13],
        address[14],
        address[15],
    ]);
    if high == 0 && low == 0xffff_0000_0000 {
        mapped([127, 0, 0, 1])
    } else if high == 0 && low == 0 {
        let mut loopback = [0; 16];
        loopback[15] = 1;
        loopback
    } else {
        address
    }
}

/// The IPv4 address, as subjects write it, that a translator or tunnel on the way to `address`
/// would go to, where the address has one in it: NAT64 (RFC 6052's `64:ff9b::/96`, and the local
/// `64:ff9b:1::/48` of RFC 8215 in its last four bytes), 6to4 (RFC 3056), SIIT (RFC 2765) and
/// IPv4-compatible addresses (RFC 4291). Whether there is such a gateway nobody can know, so that
/// both addresses must be allowed.
#[inline(always)]
#[must_use]
pub fn translated(address: [u8; 16]) -> Option<[u8; 16]> {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15] = address;
    let high = u64::from_be_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
    let middle = u32::from_be_bytes([a8, a9, a10, a11]);
    let low = u32::from_be_bytes([a12, a13, a14, a15]);
    let last = (high == 0x0064_ff9b_0000_0000 && middle == 0)
        || high >> 16 == 0x0064_ff9b_0001
        || (high == 0 && middle == 0xffff_0000)
        // `::` and `::1` are addresses of their own.
        || (high == 0 && middle == 0 && low > 1);
    if last {
        Some(mapped([a12, a13, a14, a15]))
    } else if high >> 48 == 0x2002 {
        Some(mapped([a2, a3, a4, a5]))
    } else {
        None
    }
}

impl ObjectSubject {
    /// Nothing yet.
    #[inline(always)]
    #[must_use]
    pub const fn new() -> ObjectSubject {
        ObjectSubject { bytes: [0; OBJECT_MAX], len: 0 }
    }

    /// A [`KIND_FAMILY`] subject, of `socket(2)`'s arguments. The type is without its flag bits.
    #[inline(always)]
    #[must_use]
    pub fn family(family: u16, kind: u8, protocol: u16) -> ObjectSubject {
        let mut subject = ObjectSubject::new();
        let (family, protocol) = (family.to_be_bytes(), protocol.to_be_bytes());
        subject.bytes[0] = KIND_FAMILY;
        subject.bytes[1] = family[0];
        subject.bytes[2] = family[1];
        subject.bytes[3] = kind;
        subject.bytes[4] = protocol[0];
        subject.bytes[5] = protocol[1];
        subject.len = FAMILY_LEN as u32;
        subject
    }

    /// A [`KIND_INET`] subject.
    #[must_use]
    pub fn inet(transport: u8, address: [u8; 16], port: u16) -> ObjectSubject {
        let mut subject = ObjectSubject::new();
        subject.set_inet(transport, &address, port);
        subject
    }

    /// Makes a new subject a [`KIND_INET`] one, in place: the programs' stack is small.
    #[inline(always)]
    pub fn set_inet(&mut self, transport: u8, address: &[u8; 16], port: u16) {
        self.bytes[0] = KIND_INET;
        self.bytes[1] = transport;
        let mut i = 0;
        while i < 16 {
            self.bytes[2 + i] = address[i];
            i += 1;
        }
        let port = port.to_be_bytes();
        self.bytes[18] = port[0];
        self.bytes[19] = port[1];
        self.len = INET_LEN as u32;
    }

    /// A [`KIND_ANON`] subject.
    #[inline(always)]
    #[must_use]
    pub fn anon(what: u8) -> ObjectSubject {
        let mut subject = ObjectSubject::new();
        subject.bytes[0] = KIND_ANON;
        subject.bytes[1] = what;
        subject.len = 2;
        subject
    }

    /// A [`KIND_PROCESS`] subject.
    #[inline(always)]
    #[must_use]
    pub fn process(act: Act, pid: u32) -> ObjectSubject {
        let mut subject = ObjectSubject::new();
        let pid = pid.to_be_bytes();
        subject.bytes[0] = KIND_PROCESS;
        subject.bytes[1] = act.0;
        subject.bytes[2] = pid[0];
        subject.bytes[3] = pid[1];
        subject.bytes[4] = pid[2];
        subject.bytes[5] = pid[3];
        subject.len = PROCESS_LEN as u32;
        subject
    }

    /// A [`KIND_CAPABILITY`] subject.
    #[inline(always)]
    #[must_use]
    pub fn capability(capability: Capability) -> ObjectSubject {
        let mut subject = ObjectSubject::new();
        subject.bytes[0] = KIND_CAPABILITY;
        subject.bytes[1] = capability.0;
        subject.len = 2;
        subject
    }

    /// A [`KIND_OPTION`] subject.
    #[inline(always)]
    #[must_use]
    pub fn option(level: u32, number: u32) -> ObjectSubject {
        ObjectSubject::two(KIND_OPTION, level, number)
    }

    /// A [`KIND_IPC`] subject.
    #[inline(always)]
    #[must_use]
    pub fn ipc(id: u32, key: u32) -> ObjectSubject {
        ObjectSubject::two(KIND_IPC, id, key)
    }

    #[inline(always)]
    fn two(kind: u8, first: u32, second: u32) -> ObjectSubject {
        let mut subject = ObjectSubject::new();
        let (first, second) = (first.to_be_bytes(), second.to_be_bytes());
        subject.bytes[0] = kind;
        let mut i = 0;
        while i < 4 {
            subject.bytes[1 + i] = first[i];
            subject.bytes[5 + i] = second[i];
            i += 1;
        }
        subject.len = 9;
        subject
    }

    /// A [`KIND_IOCTL`] subject.
    #[inline(always)]
    #[must_use]
    pub fn ioctl(command: u32) -> ObjectSubject {
        let mut subject = ObjectSubject::new();
        let command = command.to_be_bytes();
        subject.bytes[0] = KIND_IOCTL;
        subject.bytes[1] = command[0];
        subject.bytes[2] = command[1];
        subject.bytes[3] = command[2];
        subject.bytes[4] = command[3];
        subject.len = 5;
        subject
    }

    /// The bytes in use.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len as usize).unwrap_or(&self.bytes)
    }
}

impl Default for ObjectSubject {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspecified_addresses_are_the_loopback_they_connect_to() {
        let v6 = |s: &str| s.parse::<core::net::Ipv6Addr>().unwrap().octets();
        assert_eq!(destination(v6("::")), v6("::1"));
        assert_eq!(destination(mapped([0, 0, 0, 0])), v6("::ffff:127.0.0.1"));
        for kept in ["::1", "::ffff:10.0.0.1", "2001:db8::", "::ffff:0:0:0", "1::"] {
            assert_eq!(destination(v6(kept)), v6(kept));
        }
    }

    #[test]
    fn addresses_with_an_address_in_them_go_there_too() {
        let v6 = |s: &str| s.parse::<core::net::Ipv6Addr>().unwrap().octets();
        let metadata = Some(mapped([169, 254, 169, 254]));
        for (address, inner) in [
            ("64:ff9b::169.254.169.254", metadata),
            ("64:ff9b:1::169.254.169.254", metadata),
            ("64:ff9b:1:7::169.254.169.254", metadata),
            ("2002:a9fe:a9fe::1", metadata),
            ("::ffff:0:169.254.169.254", metadata),
            ("::169.254.169.254", metadata),
            ("64:ff9b:0:1::1.2.3.4", None),
            ("64:ff9b::1:102:304", None),
            ("64:ff9b:2::1.2.3.4", None),
            ("2003:a9fe:a9fe::1", None),
            ("2001:db8::1", None),
            ("::1", None),
            ("::", None),
            ("::ffff:1.2.3.4", None),
        ] {
            assert_eq!(translated(v6(address)), inner, "{address}");
        }
    }

    #[test]
    fn subjects_have_the_documented_shape() {
        let inet = ObjectSubject::inet(TRANSPORT_TCP, mapped([10, 1, 2, 3]), 0x1234);
        assert_eq!(
            inet.as_bytes(),
            [2, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3, 0x12, 0x34]
        );
        assert_eq!(ObjectSubject::family(2, 1, 262).as_bytes(), [1, 0, 2, 1, 1, 6]);
        assert_eq!(ObjectSubject::anon(ANON_PIPE).as_bytes(), [4, b'p']);
        assert_eq!(ObjectSubject::option(41, 57).as_bytes(), [16, 0, 0, 0, 41, 0, 0, 0, 57]);
        assert_eq!(ObjectSubject::ipc(1, 2).as_bytes(), [17, 0, 0, 0, 1, 0, 0, 0, 2]);
    }

    #[test]
    fn transports_that_cannot_be_expressed_are_other() {
        assert_eq!(transport(262), TRANSPORT_OTHER);
        assert_eq!(transport(6 + 256), TRANSPORT_OTHER);
        assert_eq!((transport(6), transport(17), transport(58)), (6, 17, 1));
    }
}
