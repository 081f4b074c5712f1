//! Subjects as people read them, without losing a byte.

use std::fmt;
use std::net::Ipv6Addr;

use bytes::Bytes;
use sensor_ebpf::act::Act;
use sensor_ebpf::capability::Capability;
use sensor_ebpf::subject as s;

use crate::family;

/// What an operation was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A canonical path. Any bytes but NUL.
    Path(Bytes),
    /// An IPv4 or IPv6 peer, or local address.
    Inet {
        /// `tcp`, `udp`, `icmp` or `other`.
        transport: &'static str,
        /// The address; IPv4 as `::ffff:a.b.c.d`.
        address: Ipv6Addr,
        /// The port.
        port: u16,
    },
    /// A socket to be made.
    Socket {
        /// `AF_*`.
        family: u16,
        /// `SOCK_*`.
        kind: u8,
        /// `IPPROTO_*` or the family's own numbers.
        protocol: u16,
    },
    /// An abstract unix socket, by its name without the leading NUL.
    Abstract(Bytes),
    /// A file that no mounted file system holds.
    Anon(u8),
    /// A System V object that the agent did not make.
    Ipc {
        /// What its calls take.
        id: u32,
        /// What it is found by; 0 for one that is found by its id only.
        key: u32,
    },
    /// A socket option or control message that no agent may use.
    Option {
        /// `SOL_*`.
        level: u32,
        /// Its number there.
        number: u32,
    },
    /// An act on a process outside the agent, by its pid.
    Process(Act, u32),
    /// A capability.
    Capability(Capability),
    /// A kernel module, by the name that the kernel asked for.
    Module(Bytes),
    /// A command of `ioctl(2)`.
    Ioctl(u32),
    /// An object that this version does not know.
    Unknown(Bytes),
}

impl Subject {
    /// Reads a subject of the object space; see [`sensor_ebpf::subject`].
    #[must_use]
    pub fn object(bytes: Bytes) -> Subject {
        match *bytes {
            [s::KIND_INET, transport, ref address @ .., high, low]
                if bytes.len() == s::INET_LEN =>
            {
                let address: [u8; 16] = address.try_into().unwrap_or_default();
                Subject::Inet {
                    transport: transport_name(transport),
                    address: address.into(),
                    port: u16::from_be_bytes([high, low]),
                }
            }
            [s::KIND_FAMILY, f0, f1, kind, p0, p1] => Subject::Socket {
                family: u16::from_be_bytes([f0, f1]),
                kind,
                protocol: u16::from_be_bytes([p0, p1]),
            },
            [s::KIND_ABSTRACT, ..] => Subject::Abstract(bytes.slice(1..)),
            [s::KIND_ANON, what] => Subject::Anon(what),
            [s::KIND_IOCTL, a, b, c, d] => Subject::Ioctl(u32::from_be_bytes([a, b, c, d])),
            [s::KIND_OPTION, l0, l1, l2, l3, n0, n1, n2, n3] => Subject::Option {
                level: u32::from_be_bytes([l0, l1, l2, l3]),
                number: u32::from_be_bytes([n0, n1, n2, n3]),
            },
            [s::KIND_IPC, i0, i1, i2, i3, k0, k1, k2, k3] => Subject::Ipc {
                id: u32::from_be_bytes([i0, i1, i2, i3]),
                key: u32::from_be_bytes([k0, k1, k2, k3]),
            },
            [s::KIND_PROCESS, act, a, b, c, d] => {
                Subject::Process(Act(act), u32::from_be_bytes([a, b, c, d]))
            }
            [s::KIND_CAPABILITY, number] => Subject::Capability(Capability(number)),
            [s::KIND_MODULE, ..] => Subject::Module(bytes.slice(1..)),
            _ => Subject::Unknown(bytes),
        }
    }
}

fn transport_name(transport: u8) -> &'static str {
    match transport {
        s::TRANSPORT_TCP => "tcp",
        s::TRANSPORT_UDP => "udp",
        s::TRANSPORT_ICMP => "icmp",
        _ => "other",
    }
}

impl fmt::Display for Subject {
    /// The form that `picket explain` takes, where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Path(path) => f.write_str(&printable(path)),
            Subject::Inet { transport, address, port } => match address.to_ipv4_mapped() {
                Some(v4) => write!(f, "{transport}:{v4}:{port}"),
                None => write!(f, "{transport}:[{address}]:{port}"),
            },
            Subject::Socket { family, kind, protocol } => {
                write!(f, "socket:{}", family::Shown(*family, *kind, *protocol))
            }
            Subject::Abstract(name) => write!(f, "unix:@{}", printable(name)),
            Subject::Anon(s::ANON_PIPE) => f.write_str("(pipe)"),
            Subject::Anon(s::ANON_MEMORY) => f.write_str("(memory file)"),
            Subject::Anon(s::ANON_PIDFD) => f.write_str("(pidfd)"),
            Subject::Anon(s::ANON_QUEUE) => f.write_str("(message queue)"),
            Subject::Anon(s::ANON_SOCKET) => f.write_str("(socket)"),
            Subject::Anon(_) => f.write_str("(kernel object)"),
            Subject::Ioctl(command) => match ioctl_name(*command) {
                Some(name) => write!(f, "ioctl {name}"),
                None => write!(f, "ioctl {command:#x}"),
            },
            Subject::Ipc { id, key } => write!(f, "System V object {id} (key {key:#x})"),
            Subject::Option { level, number } => {
                write!(f, "socket option {level}/{number}")?;
                match sensor_ebpf::sockopt::name(*level, *number) {
                    Some(name) => write!(f, " ({name})"),
                    None => Ok(()),
                }
            }
            // No process has pid 0: it is the act on any.
            Subject::Process(act, 0) => write!(f, "process:{}", act_name(*act)),
            Subject::Process(act, pid) => write!(f, "process {pid} ({})", act_name(*act)),
            Subject::Capability(capability) => match capability.name() {
                Some(name) => write!(f, "capability:{name}"),
                None => write!(f, "capability:{}", capability.0),
            },
            Subject::Module(name) => write!(f, "module {}", printable(name)),
            Subject::Unknown(bytes) => write!(f, "object {}", printable(bytes)),
        }
    }
}

/// Name of an act.
fn act_name(act: Act) -> &'static str {
    act.name().unwrap_or("unknown")
}

/// Names of the commands that attackers and ordinary programs are most often refused.
fn ioctl_name(command: u32) -> Option<&'static str> {
    Some(match command {
        0x5412 => "TIOCSTI",
        0x541c => "TIOCLINUX",
        0x541d => "TIOCCONS",
        0x5423 => "TIOCSETD",
        0x4008_6602 => "FS_IOC_SETFLAGS",
        0x401c_5820 => "FS_IOC_FSSETXATTR",
        0xc018_9436 => "FIDEDUPERANGE",
        0x5000_9401 => "BTRFS_IOC_SNAP_CREATE",
        0x5000_9417 => "BTRFS_IOC_SNAP_CREATE_V2",
        0x8914 => "SIOCSIFFLAGS",
        0x8916 => "SIOCSIFADDR",
        0x89e0 => "SIOCUNIXFILE",
        _ => return None,
    })
}

/// Bytes as one line of text: printable UTF-8 as it is, everything else, and the backslash, as
/// `\xHH`. An agent chooses its file names; a log line must not end, or a terminal obey, where it
/// says so.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' || c.is_control() || is_invisible(c) {
                let mut buffer = [0; 4];
                escape(&mut text, c.encode_utf8(&mut buffer).as_bytes());
            } else {
                text.push(c);
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

/// Characters that reorder or hide text on a terminal (Unicode TR 36).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn escape(text: &mut String, bytes: &[u8]) {
    use fmt::Write as _;
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use sensor_ebpf::subject::{ObjectSubject, mapped};

    use super::*;

    fn shown(object: &ObjectSubject) -> String {
        Subject::object(Bytes::copy_from_slice(object.as_bytes())).to_string()
    }

    #[test]
    fn objects_are_shown_as_people_write_them() {
        assert_eq!(shown(&ObjectSubject::inet(6, mapped([10, 0, 0, 1]), 443)), "tcp:10.0.0.1:443");
        let v6 = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(shown(&ObjectSubject::inet(17, v6, 53)), "udp:[2001:db8::1]:53");
        assert_eq!(shown(&ObjectSubject::family(17, 3, 3)), "socket:packet/raw/3");
        assert_eq!(shown(&ObjectSubject::family(99, 9, 0)), "socket:99/9");
        assert_eq!(shown(&ObjectSubject::anon(b'm')), "(memory file)");
        assert_eq!(shown(&ObjectSubject::option(41, 57)), "socket option 41/57 (IPV6_RTHDR)");
        assert_eq!(shown(&ObjectSubject::ipc(5, 0x70)), "System V object 5 (key 0x70)");
        assert_eq!(shown(&ObjectSubject::option(1, 2)), "socket option 1/2");
        assert_eq!(shown(&ObjectSubject::process(Act::SIGNAL, 77)), "process 77 (signal)");
        assert_eq!(shown(&ObjectSubject::capability(Capability::KILL)), "capability:kill");
        assert_eq!(shown(&ObjectSubject::capability(Capability(99))), "capability:99");
        assert_eq!(
            Subject::object(Bytes::from_static(b"\x03a\nb")),
            Subject::Abstract(Bytes::from_static(b"a\nb"))
        );
        // An address whose last bytes look like another kind's length is still an address.
        assert_eq!(shown(&ObjectSubject::inet(6, [4; 16], 0x0404)).split(':').next(), Some("tcp"));
    }

    #[test]
    fn names_cannot_break_a_line_or_drive_a_terminal() {
        assert_eq!(printable("a\nb\x1b[2J".as_bytes()), "a\\x0ab\\x1b[2J");
        assert_eq!(printable(b"\xff/ok"), "\\xff/ok");
        assert_eq!(printable("größe \u{202e}x".as_bytes()), "größe \\xe2\\x80\\xaex");
        assert_eq!(printable(b"a\\x0a"), "a\\x5cx0a");
    }
}
