//! Sending through unix connections from before the tag, for an agent that is to be cut off from them.

use std::os::fd::{AsRawFd as _, OwnedFd};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{close, open, send_file, write};
use crate::support::sys::net::{
    Address, accept, bind, connect, listen, listener, pair, send, socket,
};
use crate::support::sys::{EACCES, Errno, Res};

const POLICY: &str = "\
files:
  - allow: [read, create, delete]
    paths: ['${dir}/**']
network:
  - allow: [connect]
    to: ['unix:${dir}/good']
  - deny: [connect]
    to: ['unix:${dir}/bad*']";

const SEND: u32 = 0;
const PACKET: u32 = 1;
const WRITE: u32 = 2;
const SENDFILE: u32 = 3;
const GOOD: u32 = 4;
const GOOD_WRITE: u32 = 5;
const PAIR: u32 = 6;
const PAIR_WRITE: u32 = 7;
const ANSWER: u32 = 8;
const OWN: u32 = 9;
const CLOSE: u32 = 10;
const GONE: u32 = 11;

/// A connection to a server, with the server's end of it.
struct Connection {
    _server: OwnedFd,
    theirs: OwnedFd,
    ours: OwnedFd,
}

impl Connection {
    fn new(place: &Place, name: &str, kind: i32) -> Connection {
        let at = Address::unix(place.at(name));
        let server = listener(&at, libc::AF_UNIX, kind);
        let ours = socket(libc::AF_UNIX, kind, 0).unwrap();
        connect(&ours, &at).unwrap();
        Connection { theirs: accept(&server).unwrap(), _server: server, ours }
    }
}

#[test]
fn an_agent_that_is_cut_off_sends_only_to_whom_it_might_connect() {
    let place = Place::on_disk("sendmsg_unix");
    let (stream, packets) = (libc::SOCK_STREAM, libc::SOCK_SEQPACKET);
    let bad = Connection::new(&place, "bad", stream);
    let bad_packets = Connection::new(&place, "bad packets", packets);
    let good = Connection::new(&place, "good", stream);
    let gone = Connection::new(&place, "gone", stream);
    let through = pair(stream).unwrap();
    let file = place.file("file");
    let step = |step: u32| -> Res {
        match step {
            SEND => send(&bad.ours, b"x"),
            PACKET => send(&bad_packets.ours, b"x"),
            WRITE => write(&bad.ours, b"x"),
            SENDFILE => send_file(&bad.ours, &open(&file, libc::O_RDONLY)?, 1),
            GOOD => send(&good.ours, b"x"),
            GOOD_WRITE => write(&good.ours, b"x"),
            PAIR => send(&through.0, b"x"),
            PAIR_WRITE => write(&through.0, b"x"),
            // To a client of its own, from before the tag too.
            ANSWER => send(&good.theirs, b"x"),
            OWN => to_itself(&place),
            CLOSE => close(gone.theirs.as_raw_fd()),
            GONE => send(&gone.ours, b"x"),
            _ => Err(Errno(libc::EINVAL)),
        }
    };
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut child = fence.child(step);
    for step in SEND..=CLOSE {
        assert_eq!(child.try_to(step), Ok(()), "step {step} without a tag");
    }
    child.tag(agent.tag);
    for step in SEND..CLOSE {
        assert_eq!(child.try_to(step), Ok(()), "step {step} of an agent that keeps what it has");
    }
    fence.quiet(&agent);
    let mut other = fence.child(step);
    fence.cut_off(&agent);
    let denied = |hook, name| Expected::deny(hook, Rights::CONNECT).path(place.at(name)).rule(8);
    let unix = Hook::SOCKET_SENDMSG_UNIX;
    for (step, event) in [
        (SEND, denied(unix, "bad")),
        (PACKET, denied(unix, "bad packets")),
        (WRITE, denied(Hook::FILE_PERMISSION, "bad")),
        (SENDFILE, denied(Hook::FILE_PERMISSION, "bad")),
    ] {
        assert_eq!(child.try_to(step), Err(EACCES), "step {step} cut off");
        fence.expect(&agent, &child, &[event]);
    }
    for step in GOOD..=OWN {
        assert_eq!(child.try_to(step), Ok(()), "step {step} cut off");
    }
    for step in SEND..=CLOSE {
        assert_eq!(other.try_to(step), Ok(()), "step {step} of a process without a tag");
    }
    // Now all have closed the server's end, and what nobody gets is nobody's business.
    drop(gone.theirs);
    assert_eq!(child.try_to(GONE), Err(Errno(libc::EPIPE)));
    fence.quiet(&agent);
    fence.let_keep(&agent);
    for step in SEND..=OWN {
        assert_eq!(child.try_to(step), Ok(()), "step {step} when it is over");
    }
    fence.quiet(&agent);
}

/// A connection that the agent makes itself, to a server of its own.
fn to_itself(place: &Place) -> Res {
    let path = place.at("own");
    let _ = std::fs::remove_file(&path);
    let server = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    bind(&server, &Address::unix(&path))?;
    listen(&server)?;
    let client = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    connect(&client, &Address::unix(&path))?;
    let answering = accept(&server)?;
    send(&client, b"x")?;
    send(&answering, b"x")
}
