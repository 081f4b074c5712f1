//! 400s, fourth part: connections to servers that somebody else has made.

use std::any::Any;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::Arena;
use crate::row::{ATTACK, Attack, NONE_YET, Row, way};
use crate::support::sys::files::write;
use crate::support::sys::net::{
    Address, accept, connect, listener, pair, receive_file, send, send_file, socket,
};
use crate::support::sys::{Errno, Res};

const UNIX: i32 = libc::AF_UNIX;

/// Speaking to a server by a connection of somebody else's.
const CONNECTION: Attack = Attack {
    policy: VAULT,
    hook: Hook::FILE_RECEIVE,
    right: Rights::CONNECT,
    about: |arena| arena.text("vault/server.sock"),
    prepare: |arena| handed(arena, libc::SOCK_STREAM),
    happened: Arena::reached,
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        407,
        "A connection to a server, handed over by an accomplice outside: unix",
        "It is judged by its peer's name when it is received; the kernel drops what is refused",
        Attack {
            ways: &[
                way("send", |a| send(&received(a)?, b"x")),
                way("write", |a| write(&received(a)?, b"x")),
            ],
            ..CONNECTION
        },
    ),
    Row::stopped(
        408,
        "The same of packets",
        "The same",
        Attack {
            prepare: |arena| handed(arena, libc::SOCK_SEQPACKET),
            ways: &[way("send", |a| send(&received(a)?, b"x"))],
            ..CONNECTION
        },
    ),
    Row::open(
        409,
        "A connection to a server that was open before the process was tagged: unix, of an agent that is to be \
         cut off from such",
        "To be judged by its peer's name whenever it sends; what the agent connects itself is (401)",
        Attack {
            hook: NONE_YET,
            cut_off: true,
            prepare: |arena| {
                let (server, client) = connected(arena, libc::SOCK_STREAM);
                arena.note.set(client.as_raw_fd() as u64);
                Box::new((server, client))
            },
            ways: &[way("send", |a| send(&kept(a), b"x")), way("write", |a| write(&kept(a), b"x"))],
            ..CONNECTION
        },
    ),
];

/// A server in the vault, and a connection to it.
fn connected(arena: &Arena, kind: i32) -> (OwnedFd, OwnedFd) {
    let at = Address::unix(arena.at("vault/server.sock"));
    let server = listener(&at, UNIX, kind);
    let client = socket(UNIX, kind, 0).unwrap();
    connect(&client, &at).unwrap();
    arena.watch(accept(&server).unwrap());
    (server, client)
}

/// Such a connection on its way to the agent.
fn handed(arena: &Arena, kind: i32) -> Box<dyn Any> {
    let (server, client) = connected(arena, kind);
    let (ours, theirs) = pair(libc::SOCK_STREAM).unwrap();
    send_file(&ours, &client).unwrap();
    arena.note.set(theirs.as_raw_fd() as u64);
    Box::new((server, client, ours, theirs))
}

/// What was handed over.
fn received(arena: &Arena) -> Res<OwnedFd> {
    receive_file(&kept(arena))?.ok_or(Errno(libc::EACCES))
}

/// The descriptor that the process was born with.
fn kept(arena: &Arena) -> OwnedFd {
    // SAFETY: nobody else in the process uses it.
    unsafe { OwnedFd::from_raw_fd(arena.note.get() as i32) }
}
