//! 600s, second half: sockets, whoever their peer is.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::network::{DATAGRAM, INET, INET6, PEER, PEERS, made, tcp};
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, Row, Status, way};
use crate::support::fence::Fence;
use crate::support::sys::Res;
use crate::support::sys::net::{Address, bind, connect, listen, listener, reuse, socket};
use crate::sys::net;

/// Making a socket of a kind that may not be made.
const KIND: Attack =
    Attack { policy: PEERS, hook: Hook::SOCKET_CREATE, right: Rights::SOCKET, ..ATTACK };

/// Taking a local address.
const LOCAL: Attack =
    Attack { policy: PEERS, hook: Hook::SOCKET_BIND, right: Rights::BIND, ..ATTACK };

/// Options that lead packets elsewhere.
const OPTIONS: Attack =
    Attack { policy: PEERS, hook: Hook::SOCKET_SETSOCKOPT, right: Rights::KERNEL, ..ATTACK };

const AF_NETLINK: i32 = libc::AF_NETLINK;

pub const ROWS: &[Row] = &[
    Row::stopped(
        608,
        "Families that speak to the kernel or past the stack",
        "Families, types and protocols are an allow list: unix, TCP, UDP, ICMP echo, netlink route",
        Attack {
            ways: &[
                way("generic netlink", |a| made(a, AF_NETLINK, libc::SOCK_RAW, 16))
                    .errno(libc::EAFNOSUPPORT),
                way("netlink of device events", |a| made(a, AF_NETLINK, libc::SOCK_RAW, 15))
                    .errno(libc::EAFNOSUPPORT),
                way("netlink audit", |a| made(a, AF_NETLINK, libc::SOCK_RAW, 9))
                    .errno(libc::EAFNOSUPPORT),
                way("MPTCP", |a| made(a, INET, libc::SOCK_STREAM, 262)),
                way("MPTCP by IPv6", |a| made(a, INET6, libc::SOCK_STREAM, 262)),
            ],
            ..KIND
        },
    ),
    Row::stopped(
        609,
        "Raw and packet sockets",
        "The same list",
        Attack {
            control: Control::Root("takes CAP_NET_RAW"),
            ways: &[
                way("raw", |a| made(a, INET, libc::SOCK_RAW, libc::IPPROTO_RAW)),
                way("raw TCP", |a| made(a, INET, libc::SOCK_RAW, 6)),
                way("raw IPv6", |a| made(a, INET6, libc::SOCK_RAW, 58)),
                way("packet", |a| made(a, libc::AF_PACKET, libc::SOCK_RAW, 0x300))
                    .errno(libc::EAFNOSUPPORT),
                way("packet datagrams", |a| made(a, libc::AF_PACKET, libc::SOCK_DGRAM, 0x300))
                    .errno(libc::EAFNOSUPPORT),
            ],
            ..KIND
        },
    ),
    Row::stopped(
        610,
        "Families that may not even be there: their modules would be loaded",
        "Refused before the kernel looks for the module",
        Attack {
            control: Control::Nobody("what is there depends on the kernel"),
            ways: &[
                way("ALG", |a| made(a, 38, libc::SOCK_SEQPACKET, 0)).errno(libc::EAFNOSUPPORT),
                way("VSOCK", |a| made(a, 40, libc::SOCK_STREAM, 0)).errno(libc::EAFNOSUPPORT),
                way("XDP", |a| made(a, 44, libc::SOCK_RAW, 0)).errno(libc::EAFNOSUPPORT),
                way("TIPC", |a| made(a, 30, libc::SOCK_STREAM, 0)).errno(libc::EAFNOSUPPORT),
                way("RDS", |a| made(a, 21, libc::SOCK_SEQPACKET, 0)).errno(libc::EAFNOSUPPORT),
                way("SMC", |a| made(a, 43, libc::SOCK_STREAM, 0)).errno(libc::EAFNOSUPPORT),
                way("KCM", |a| made(a, 41, libc::SOCK_DGRAM, 0)).errno(libc::EAFNOSUPPORT),
                way("BLUETOOTH", |a| made(a, 31, libc::SOCK_RAW, 1)).errno(libc::EAFNOSUPPORT),
                way("CAN", |a| made(a, 29, libc::SOCK_RAW, 1)).errno(libc::EAFNOSUPPORT),
                way("KEY", |a| made(a, 15, libc::SOCK_RAW, 2)).errno(libc::EAFNOSUPPORT),
                way("PPPOX", |a| made(a, 24, libc::SOCK_STREAM, 0)).errno(libc::EAFNOSUPPORT),
                way("QIPCRTR", |a| made(a, 42, libc::SOCK_DGRAM, 0)).errno(libc::EAFNOSUPPORT),
                way("MCTP", |a| made(a, 45, libc::SOCK_DGRAM, 0)).errno(libc::EAFNOSUPPORT),
                way("SCTP", |a| made(a, INET, libc::SOCK_STREAM, 132)),
                way("SMC as a protocol", |a| made(a, INET, libc::SOCK_STREAM, 256)),
                way("UDP lite", |a| made(a, INET, libc::SOCK_DGRAM, 136)),
                way("DCCP", |a| made(a, INET, 6, 33)),
                way("L2TP", |a| made(a, INET, libc::SOCK_DGRAM, 115)),
            ],
            ..KIND
        },
    ),
    Row::stopped(
        611,
        "A local address taken that is not the agent's to take",
        "`bind` is an allow list",
        Attack {
            ways: &[
                way("a port", |a| served(a, INET, "127.0.0.1:7034")),
                way("every address", |a| served(a, INET, "0.0.0.0:7033")),
                way("by IPv6", |a| served(a, INET6, "[::]:7033")),
                way("IPv4 in IPv6", |a| served(a, INET6, "[::ffff:127.0.0.1]:7034")),
                way("any port", |a| served(a, INET, "127.0.0.1:0")),
                way("AF_UNSPEC", |a| {
                    let server = socket(INET, libc::SOCK_STREAM, 0)?;
                    bind(&server, &Address::inet_as(libc::AF_UNSPEC, "0.0.0.0:7034"))?;
                    a.take(SECRET.as_bytes())
                }),
                way("python", |a| {
                    a.shell(
                        "python3 -SEc 'import socket; socket.create_server((\"\", 7034))' && \
                         echo picket-secret-8c1f0e >work/out",
                    )
                })
                .tool(),
            ],
            ..LOCAL
        },
    ),
    Row::stopped(
        612,
        "A server without `bind`: `listen` lets the kernel choose a port",
        "`listen` on a socket that was not bound takes `bind` on any port of every address",
        Attack {
            hook: Hook::SOCKET_LISTEN,
            ways: &[
                way("TCP", |a| net::listen_unbound(INET).and_then(|_| a.take(SECRET.as_bytes()))),
                way("IPv6", |a| net::listen_unbound(INET6).and_then(|_| a.take(SECRET.as_bytes()))),
            ],
            ..LOCAL
        },
    ),
    Row::stopped(
        613,
        "Packets that take another way than their address says: source routes, routing headers",
        "Options that lead elsewhere are refused, whatever the policy",
        Attack {
            ways: &[way("IPV6_RTHDR, segments", |a| {
                let socket = socket(INET6, libc::SOCK_DGRAM, 0)?;
                // Type 4, two words long, one segment left of one: ::1.
                let mut header = vec![0, 2, 4, 0, 0, 0, 0, 0];
                header.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
                const IPV6_RTHDR: i32 = 57;
                net::set_option(&socket, libc::IPPROTO_IPV6, IPV6_RTHDR, &header)?;
                a.take(SECRET.as_bytes())
            })],
            ..OPTIONS
        },
    ),
    Row::stopped(
        614,
        "Packets that belong to nobody: another device, another mark, another's address",
        "The same options; with root's capabilities they would work",
        Attack {
            control: Control::Root("takes CAP_NET_ADMIN or CAP_NET_RAW"),
            ways: &[
                way("SO_MARK", |a| option(a, libc::SOL_SOCKET, libc::SO_MARK, &[1, 0, 0, 0])),
                way("IP_TRANSPARENT", |a| option(a, 0, 19, &[1, 0, 0, 0])),
            ],
            ..OPTIONS
        },
    ),
    Row::stopped(
        615,
        "Credentials of the machine in a cloud: 169.254.169.254",
        "Denied by the base policy, whatever allows the port",
        Attack {
            policy: super::CODING_AGENT,
            about: |_| "tcp:169.254.169.254:80".to_owned(),
            happened: Arena::looted,
            control: Control::Nobody("there is no such network in a guest"),
            ways: &[
                way("connect", |a| tcp(a, INET, "169.254.169.254:80")),
                way("IPv4 in IPv6", |a| tcp(a, INET6, "[::ffff:169.254.169.254]:80")),
            ],
            ..PEER
        },
    ),
    Row::untried(
        616,
        "Data carried out by names that are looked up, by DNS over HTTPS, by an allowed proxy or an \
         address that several domains share",
        "-",
        Status::OutOfScope("rules name addresses so far; rules for domains come later"),
        "no rule speaks of domains yet",
    ),
    Row::stopped(
        617,
        "A connection that was open before the process was tagged, or was handed over",
        "A socket that the agent did not make is judged by its peer whenever it sends",
        Attack {
            right: Rights::NONE,
            before: |arena| {
                let to = socket(INET, libc::SOCK_DGRAM, 0)?;
                connect(&to, &Address::inet("127.0.0.1:7030"))?;
                arena.note.set(std::os::fd::AsRawFd::as_raw_fd(&to) as u64);
                std::mem::forget(to);
                Ok(())
            },
            ways: &[way("send", |a| {
                let socket = crate::sys::owned(a.note.get() as i64);
                crate::support::sys::net::send(&socket, b"x")
            })],
            ..DATAGRAM
        },
    ),
    Row::stopped(
        618,
        "A network device of one's own: `/dev/net/tun`",
        "It is a file that no rule allows",
        Attack {
            policy: PEERS_AND_NO_DEVICES,
            hook: Hook::FILE_OPEN,
            right: Rights::WRITE,
            about: |_| "/dev/net/tun".to_owned(),
            happened: Arena::looted,
            control: Control::Nobody("its module is not in every guest"),
            prepare: |_| {
                std::fs::create_dir_all("/dev/net").unwrap();
                let node = std::path::Path::new("/dev/net/tun");
                if !node.exists() {
                    let made =
                        crate::support::sys::files::mknod(node, libc::S_IFCHR | 0o666, 0xac8);
                    made.unwrap();
                }
                let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
                std::fs::set_permissions(node, open_to_all).unwrap();
                Box::new(())
            },
            ways: &[way("open", |a| {
                crate::support::sys::files::open("/dev/net/tun", libc::O_RDWR)?;
                a.take(SECRET.as_bytes())
            })],
            ..ATTACK
        },
    ),
    Row::stopped(
        619,
        "A server that was there before the process was tagged, or was handed over",
        "A listening socket that the agent did not make is judged by its address when it accepts",
        Attack {
            hook: Hook::SOCKET_ACCEPT,
            prepare: |arena| {
                let at = Address::inet("127.0.0.1:7035");
                let server = listener(&at, INET, libc::SOCK_STREAM);
                let client = socket(INET, libc::SOCK_STREAM, 0).unwrap();
                connect(&client, &at).unwrap();
                arena.note.set(std::os::fd::AsRawFd::as_raw_fd(&server) as u64);
                Box::new((server, client))
            },
            ways: &[way("accept", |a| {
                net::accept(&crate::sys::owned(a.note.get() as i64))?;
                a.take(SECRET.as_bytes())
            })],
            ..LOCAL
        },
    ),
    Row::tested(
        620,
        "The mark by which an agent's own sockets are told from others, lost",
        "It is set when a socket is made; without it even what is allowed is not",
        &[Hook::SOCKET_POST_CREATE],
        own_sockets_are_known,
    ),
];

/// Devices are not among what may be written.
const PEERS_AND_NO_DEVICES: &str = "\
files:
  - allow: [read, list, write, create]
    paths: ['${dir}/**', '/dev/null']";

/// Takes an address.
fn served(arena: &Arena, family: i32, at: &str) -> Res {
    let server = socket(family, libc::SOCK_STREAM, 0)?;
    reuse(&server)?;
    bind(&server, &Address::inet(at))?;
    arena.take(SECRET.as_bytes())
}

/// Sets an option of a TCP socket.
fn option(arena: &Arena, level: i32, name: i32, value: &[u8]) -> Res {
    net::set_option(&socket(INET, libc::SOCK_STREAM, 0)?, level, name, value)?;
    arena.take(SECRET.as_bytes())
}

/// Any free port of the loopback may be served; the port that it becomes is no rule's business. Only
/// because of its mark is it allowed to wait there.
fn own_sockets_are_known() {
    const ANY_PORT: &str = "network:\n  - allow: [bind]\n    on: ['tcp:127.0.0.1:0']";
    let mut fence = Fence::up();
    let agent = fence.agent("/var/tmp", ANY_PORT);
    let mut child = fence.tagged(&agent, |_| -> Res {
        let server = socket(INET, libc::SOCK_STREAM, 0)?;
        bind(&server, &Address::inet("127.0.0.1:0"))?;
        listen(&server)
    });
    assert_eq!(child.try_to(0), Ok(()));
    fence.quiet(&agent);
}
