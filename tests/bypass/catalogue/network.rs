//! 600s: the network.

use std::any::Any;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Row, way};
use crate::support::sys::net::{
    Address, connect, listener, receiver, send_message, send_messages, send_to, socket,
};
use crate::support::sys::{Errno, Res, ring};
use crate::sys::net;

/// Peers on port 7031 may be reached, those on 7030 not.
pub(super) const PEERS: &str = "\
files:
  - allow: [read, list, write, create]
    paths: ['/**']
exec:
  - allow: ['/usr/**']
network:
  - allow: [connect, send]
    to: ['127.0.0.1:7031', '[::1]:7031', '127.0.0.1:1-1023']
  - allow: [bind]
    on: ['127.0.0.1:7033']";

/// Reaching a server that may not be reached.
pub(super) const PEER: Attack = Attack {
    policy: PEERS,
    hook: Hook::SOCKET_CONNECT,
    right: Rights::CONNECT,
    about: |_| "tcp:127.0.0.1:7030".to_owned(),
    prepare: streams,
    happened: Arena::reached,
    ..ATTACK
};

/// Sending to somebody who may not be sent to.
pub(super) const DATAGRAM: Attack = Attack {
    hook: Hook::SOCKET_SENDMSG,
    right: Rights::SEND,
    about: |_| "udp:127.0.0.1:7030".to_owned(),
    prepare: datagrams,
    ..PEER
};

pub(super) const INET: i32 = libc::AF_INET;
pub(super) const INET6: i32 = libc::AF_INET6;

pub const ROWS: &[Row] = &[
    Row::stopped(
        601,
        "A server by another spelling of its address",
        "Judged by the address that the kernel will connect to: mapped, unspecified and scoped ones \
         are made one",
        Attack {
            ways: &[
                way("as it is", |a| tcp(a, INET, "127.0.0.1:7030")),
                way("0.0.0.0", |a| tcp(a, INET, "0.0.0.0:7030")),
                way("IPv4 in IPv6", |a| tcp(a, INET6, "[::ffff:127.0.0.1]:7030")),
                way("0.0.0.0 in IPv6", |a| tcp(a, INET6, "[::ffff:0.0.0.0]:7030")),
                way("after a disconnect", |_| {
                    let socket = socket(INET, libc::SOCK_STREAM, 0)?;
                    connect(&socket, &Address::unspecified())?;
                    connect(&socket, &Address::inet("127.0.0.1:7030"))
                }),
                way("bash", |a| a.shell("echo x >/dev/tcp/127.0.0.1/7030")).tool(),
                way("python", |a| {
                    a.shell(
                        "python3 -SEc 'import socket; socket.create_connection((\"localhost\", 7030))'",
                    )
                })
                .tool(),
                way("io_uring", |_| ring_connect("127.0.0.1:7030")),
            ],
            // None can be made later.
            before: |_| ring::nothing(false),
            ..PEER
        },
    ),
    Row::stopped(
        602,
        "The same by IPv6",
        "Both families are one space",
        Attack {
            about: |_| "tcp:[::1]:7030".to_owned(),
            ways: &[
                way("::1", |a| tcp(a, INET6, "[::1]:7030")),
                way("::", |a| tcp(a, INET6, "[::]:7030")),
            ],
            ..PEER
        },
    ),
    Row::stopped(
        603,
        "Another of the loopback's addresses",
        "Loopback is a network like any other: nothing is allowed that no rule allows",
        Attack {
            about: |_| "tcp:127.9.9.9:7030".to_owned(),
            prepare: |arena| {
                arena.watch(listener(&Address::inet("127.9.9.9:7030"), INET, libc::SOCK_STREAM));
                Box::new(())
            },
            ways: &[way("127.9.9.9", |a| tcp(a, INET, "127.9.9.9:7030"))],
            ..PEER
        },
    ),
    Row::stopped(
        604,
        "A connection that is opened by sending: `MSG_FASTOPEN`",
        "`sendmsg` with a name is judged as a connection",
        Attack {
            hook: Hook::SOCKET_SENDMSG,
            ways: &[
                way("sendto", |_| net::fast_open(INET, &Address::inet("127.0.0.1:7030"))),
                way("IPv4 in IPv6", |_| {
                    net::fast_open(INET6, &Address::inet("[::ffff:127.0.0.1]:7030"))
                }),
            ],
            ..PEER
        },
    ),
    Row::stopped(
        605,
        "Datagrams to whom the call names",
        "`sendmsg` with a name is judged; the family is the socket's and not the address's own",
        Attack {
            ways: &[
                way("sendto", |_| net::datagram(INET, &Address::inet("127.0.0.1:7030"))),
                way("AF_UNSPEC", |_| {
                    let to = Address::inet_as(libc::AF_UNSPEC, "127.0.0.1:7030");
                    net::datagram(INET, &to)
                }),
                way("IPv4 in IPv6", |_| {
                    net::datagram(INET6, &Address::inet("[::ffff:127.0.0.1]:7030"))
                }),
                way("an IPv4 address on an IPv6 socket", |_| {
                    net::datagram(INET6, &Address::inet("127.0.0.1:7030"))
                }),
                way("0.0.0.0", |_| net::datagram(INET, &Address::inet("0.0.0.0:7030"))),
                way("sendmsg", |_| {
                    let socket = socket(INET, libc::SOCK_DGRAM, 0)?;
                    send_message(&socket, b"x", &Address::inet("127.0.0.1:7030"))
                }),
                way("sendmmsg", |_| {
                    let socket = socket(INET, libc::SOCK_DGRAM, 0)?;
                    let to = Address::inet("127.0.0.1:7030");
                    send_messages(&socket, b"x", &[&to]).map(drop)
                }),
                way("bash", |a| a.shell("echo x >/dev/udp/127.0.0.1/7030"))
                    .tool()
                    .by(Hook::SOCKET_CONNECT, Rights::CONNECT),
                way("after sending to somebody else", |_| {
                    let socket = socket(INET, libc::SOCK_DGRAM, 0)?;
                    send_to(&socket, b"x", 0, &Address::inet("127.0.0.1:7031"))?;
                    send_to(&socket, b"x", 0, &Address::inet("127.0.0.1:7030"))
                }),
                way("connected to somebody else", |_| {
                    let socket = socket(INET, libc::SOCK_DGRAM, 0)?;
                    connect(&socket, &Address::inet("127.0.0.1:7031"))?;
                    send_to(&socket, b"x", 0, &Address::inet("127.0.0.1:7030"))
                }),
            ],
            ..DATAGRAM
        },
    ),
    Row::stopped(
        606,
        "Several datagrams in one call, the first to somebody who may be sent to",
        "Each is judged where its address differs from the last",
        Attack {
            ways: &[way("sendmmsg", |_| {
                let socket = socket(INET, libc::SOCK_DGRAM, 0)?;
                let (good, bad) = (Address::inet("127.0.0.1:7031"), Address::inet("127.0.0.1:7030"));
                let sent = send_messages(&socket, b"x", &[&good, &bad, &bad])?;
                if sent < 3 { Err(Errno(libc::EACCES)) } else { Ok(()) }
            })],
            ..DATAGRAM
        },
    ),
    Row::stopped(
        607,
        "Echo requests, which carry data too",
        "`icmp` is a transport like the others",
        Attack {
            hook: Hook::SOCKET_CONNECT,
            right: Rights::CONNECT,
            about: |_| "icmp:127.0.0.2:0".to_owned(),
            prepare: |_| {
                let range = "/proc/sys/net/ipv4/ping_group_range";
                std::fs::write(range, "0 2147483647").unwrap();
                Box::new(())
            },
            ways: &[way("connect", |a| {
                let socket = socket(INET, libc::SOCK_DGRAM, 1)?;
                connect(&socket, &Address::inet("127.0.0.2:0"))?;
                a.take(SECRET.as_bytes())
            })],
            happened: Arena::looted,
            ..PEER
        },
    ),
];

/// TCP servers on the port that may not be reached.
pub(super) fn streams(arena: &Arena) -> Box<dyn Any> {
    arena.watch(listener(&Address::inet("127.0.0.1:7030"), INET, libc::SOCK_STREAM));
    arena.watch(listener(&Address::inet("[::1]:7030"), INET6, libc::SOCK_STREAM));
    Box::new(())
}

/// UDP servers: one that may not be reached, and one that may.
pub(super) fn datagrams(arena: &Arena) -> Box<dyn Any> {
    arena.watch(receiver(&Address::inet("127.0.0.1:7030"), INET, libc::SOCK_DGRAM));
    Box::new(receiver(&Address::inet("127.0.0.1:7031"), INET, libc::SOCK_DGRAM))
}

/// Connects.
pub(super) fn tcp(arena: &Arena, family: i32, to: &str) -> Res {
    connect(&socket(family, libc::SOCK_STREAM, 0)?, &Address::inet(to))?;
    arena.take(SECRET.as_bytes())
}

/// Makes a socket.
pub(super) fn made(arena: &Arena, family: i32, kind: i32, protocol: i32) -> Res {
    socket(family, kind, protocol)?;
    arena.take(SECRET.as_bytes())
}

/// Connects through an io_uring.
fn ring_connect(to: &str) -> Res {
    ring::connect(&socket(INET, libc::SOCK_STREAM, 0)?, &Address::inet(to))
}
