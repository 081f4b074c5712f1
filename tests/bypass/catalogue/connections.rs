//! 600s, third part: sockets of the network that somebody else has made.

use std::any::Any;
use std::os::fd::{AsRawFd as _, OwnedFd};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::handed::{by_sendfile, by_splice, kept, on_its_way, received};
use super::network::{INET, PEER, PEERS};
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Row, way};
use crate::support::sys::files::write;
use crate::support::sys::net::{Address, accept, connect, listener, receiver, send, socket};

/// Speaking to a server by a connection of somebody else's.
const CONNECTION: Attack = Attack { hook: Hook::FILE_RECEIVE_INET, right: Rights::CONNECT, ..PEER };

pub const ROWS: &[Row] = &[
    Row::stopped(
        621,
        "A connection to a server, handed over by an accomplice outside: TCP",
        "It is judged by its peer when it is received; the kernel drops what is refused",
        Attack {
            prepare: |arena| {
                let (server, client) = connected(arena);
                Box::new((server, on_its_way(arena, client)))
            },
            ways: &[
                way("send", |a| send(&received(a)?, b"x")),
                way("write", |a| write(&received(a)?, b"x")),
                way("sendfile", |a| by_sendfile(a, &received(a)?)),
                way("splice", |a| by_splice(&received(a)?)),
            ],
            ..CONNECTION
        },
    ),
    Row::stopped(
        622,
        "The same of datagrams",
        "The same",
        Attack {
            about: |_| "udp:127.0.0.1:7030".to_owned(),
            prepare: |arena| {
                let at = Address::inet("127.0.0.1:7030");
                arena.watch(receiver(&at, INET, libc::SOCK_DGRAM));
                let client = socket(INET, libc::SOCK_DGRAM, 0).unwrap();
                connect(&client, &at).unwrap();
                on_its_way(arena, client)
            },
            ways: &[
                way("send", |a| send(&received(a)?, b"x")),
                way("sendfile", |a| by_sendfile(a, &received(a)?)),
            ],
            ..CONNECTION
        },
    ),
    Row::stopped(
        623,
        "What everybody else sends and receives: a packet socket, handed over by an accomplice outside",
        "A socket of a kind that the agent may not make it may not receive either",
        Attack {
            policy: PEERS,
            hook: Hook::FILE_RECEIVE_INET,
            right: Rights::SOCKET,
            about: |_| "*".to_owned(),
            prepare: |arena| {
                let all = i32::from(0x3_u16.to_be());
                on_its_way(arena, socket(libc::AF_PACKET, libc::SOCK_RAW, all).unwrap())
            },
            ways: &[way("recvmsg", |a| {
                received(a)?;
                a.take(SECRET.as_bytes())
            })],
            ..ATTACK
        },
    ),
    Row::stopped(
        624,
        "A connection that was open before the process was tagged, by calls that say nothing of a socket: TCP, \
         of an agent that is to be cut off from such",
        "It is judged by its peer whenever something is written to it",
        Attack {
            hook: Hook::FILE_WRITE_INET,
            cut_off: true,
            prepare: |arena| {
                let (server, client) = connected(arena);
                arena.note.set(client.as_raw_fd() as u64);
                Box::new((server, client))
            },
            ways: &[
                way("sendfile", |a| by_sendfile(a, &kept(a))),
                way("splice", |a| by_splice(&kept(a))),
            ],
            ..CONNECTION
        },
    ),
];

/// A server that may not be reached, and a connection to it.
fn connected(arena: &Arena) -> (Box<dyn Any>, OwnedFd) {
    let at = Address::inet("127.0.0.1:7030");
    let server = listener(&at, INET, libc::SOCK_STREAM);
    let client = socket(INET, libc::SOCK_STREAM, 0).unwrap();
    connect(&client, &at).unwrap();
    arena.watch(accept(&server).unwrap());
    (Box::new(server), client)
}
