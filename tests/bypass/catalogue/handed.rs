//! 400s, fourth part: connections to servers that somebody else has made.

use std::any::Any;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::Arena;
use crate::row::{ATTACK, Attack, Row, way};
use crate::support::sys::files::{
    open, pipe as pipe_of_ones_own, send_file as send_content, splice, write,
};
use crate::support::sys::net::{
    Address, accept, connect, listener, pair, receive_file, send, send_file, send_message_on,
    socket,
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
    Row::stopped(
        409,
        "A connection to a server that was open before the process was tagged: unix, of an agent that is to be \
         cut off from such",
        "It is judged by its peer's name whenever something is sent through it",
        Attack {
            hook: Hook::SOCKET_SENDMSG_UNIX,
            cut_off: true,
            prepare: |arena| {
                let (server, client) = connected(arena, libc::SOCK_STREAM);
                arena.note.set(client.as_raw_fd() as u64);
                Box::new((server, client))
            },
            ways: &[
                way("send", |a| send(&kept(a), b"x")),
                way("sendmsg", |a| send_message_on(&kept(a), b"x")),
                way("write", |a| write(&kept(a), b"x")).by(Hook::FILE_PERMISSION, Rights::CONNECT),
                way("sendfile", |a| by_sendfile(a, &kept(a)))
                    .by(Hook::FILE_PERMISSION, Rights::CONNECT),
                way("splice", |a| by_splice(&kept(a))).by(Hook::FILE_PERMISSION, Rights::CONNECT),
            ],
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
    Box::new((server, on_its_way(arena, client)))
}

/// A socket on its way to the agent.
pub(super) fn on_its_way(arena: &Arena, socket: OwnedFd) -> Box<dyn Any> {
    let (ours, theirs) = pair(libc::SOCK_STREAM).unwrap();
    send_file(&ours, &socket).unwrap();
    arena.note.set(theirs.as_raw_fd() as u64);
    Box::new((socket, ours, theirs))
}

/// What was handed over.
pub(super) fn received(arena: &Arena) -> Res<OwnedFd> {
    receive_file(&kept(arena))?.ok_or(Errno(libc::EACCES))
}

/// The descriptor that the process was born with.
pub(super) fn kept(arena: &Arena) -> OwnedFd {
    // SAFETY: nobody else in the process uses it.
    unsafe { OwnedFd::from_raw_fd(arena.note.get() as i32) }
}

/// Sends a byte of a file.
pub(super) fn by_sendfile(arena: &Arena, socket: &OwnedFd) -> Res {
    send_content(socket, &open(arena.at("open/file"), libc::O_RDONLY)?, 1)
}

/// Sends a byte out of a pipe.
pub(super) fn by_splice(socket: &OwnedFd) -> Res {
    let (from, into) = pipe_of_ones_own()?;
    write(&into, b"x")?;
    splice(&from, socket, 1)
}
