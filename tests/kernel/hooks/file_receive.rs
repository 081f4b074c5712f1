//! Descriptors from other processes.

use std::any::Any;
use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_SOCKET, ObjectSubject, TRANSPORT_TCP, TRANSPORT_UDP};

use crate::support::case::Case;
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::{self, Place};
use crate::support::sys::files::{memfd, open, pipe, read};
use crate::support::sys::net::{
    Address, accept, connect, listener, pair, receive_file, send, send_file, socket,
};
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

/// The deputy may be asked, and what it hands out is read.
const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/public']
network:
  - allow: [connect]
    to: ['unix:${dir}/*.deputy']";

pub const CASE: Case = Case {
    hook: Hook::FILE_RECEIVE,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        let deputies: Vec<Deputy> =
            ["secret", "public"].map(|name| Deputy::new(dir, name, libc::O_RDONLY)).into();
        Box::new(deputies) as Box<dyn Any>
    },
    denied: |dir| ask(dir, "secret").map(drop),
    allowed: |dir| ask(dir, "public").map(drop),
    event: |dir| Expected::deny(Hook::FILE_RECEIVE, Rights::READ).path(dir.join("secret")),
    by_child: false,
};

/// A process without a tag that hands out a file to whoever asks.
struct Deputy {
    at: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Deputy {
    fn new(dir: &Path, name: &str, flags: i32) -> Deputy {
        let file = open(place::file(dir, name), flags).unwrap();
        Deputy::of(dir, name, file)
    }

    fn of(dir: &Path, name: &str, file: OwnedFd) -> Deputy {
        let at = dir.join(format!("{name}.deputy"));
        let _ = std::fs::remove_file(&at);
        let server = listener(&Address::unix(&at), libc::AF_UNIX, libc::SOCK_STREAM);
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while let Ok(client) = accept(&server) {
                if seen.load(Ordering::SeqCst) {
                    break;
                }
                // Whoever asked may be gone again.
                let _ = send_file(&client, &file);
            }
        });
        Deputy { at, over, thread: Some(thread) }
    }
}

impl Drop for Deputy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let woken = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)
            .and_then(|client| connect(&client, &Address::unix(&self.at)));
        if let Some(thread) = self.thread.take()
            && woken.is_ok()
        {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.at);
    }
}

/// Asks a deputy for its file. What the kernel drops on the way is refused.
fn ask(dir: &Path, name: &str) -> Res<OwnedFd> {
    let client = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    connect(&client, &Address::unix(dir.join(format!("{name}.deputy"))))?;
    receive_file(&client)?.ok_or(EACCES)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn what_is_received_is_judged_as_if_it_were_opened() {
    let place = Place::on_disk("receive_access");
    let dir = place.path();
    let spec = "\
files:
  - allow: [read]
    paths: ['${dir}/{r,w,p}']
network:
  - allow: [connect]
    to: ['unix:${dir}/*.deputy']";
    let flags = [("r", libc::O_RDONLY), ("w", libc::O_RDWR), ("p", libc::O_PATH)];
    let _deputies = flags.map(|(name, flags)| Deputy::new(dir, name, flags));
    let _directory = Deputy::of(dir, "list", open(dir, libc::O_DIRECTORY).unwrap());
    let _device = Deputy::of(dir, "disk", open("/dev/vda", libc::O_RDONLY).unwrap());
    let _memory = Deputy::of(dir, "memory", memfd("m").unwrap());
    let _pipe = Deputy::of(dir, "pipe", pipe().unwrap().0);
    let denied = |rights, path: &Path| Expected::deny(Hook::FILE_RECEIVE, rights).path(path);
    let ask = |name| ask(dir, name).map(drop);
    let both = Rights::READ | Rights::WRITE;
    let disk = Path::new("/dev/vda");
    Trial::new(&place, spec)
        .allowed("for reading", || ask("r"))
        .refused(
            "for reading and writing",
            || ask("w"),
            EACCES,
            denied(both, &place.at("w")).because(Rights::WRITE),
        )
        .allowed("for nothing", || ask("p"))
        .refused("a directory", || ask("list"), EACCES, denied(Rights::LIST, dir))
        .refused("a device", || ask("disk"), EACCES, denied(Rights::READ | Rights::DEVICE, disk))
        .allowed("memory", || ask("memory"))
        .allowed("a pipe", || ask("pipe"))
        .run();
}

/// Connects to a deputy's unix server, or of the network.
fn connected(family: i32, kind: i32, to: &Address) -> OwnedFd {
    let socket = socket(family, kind, 0).unwrap();
    connect(&socket, to).unwrap();
    socket
}

#[test]
fn sockets_are_judged_by_what_they_are_connected_to() {
    let place = Place::on_disk("receive_sockets");
    let dir = place.path();
    let spec = "\
network:
  - allow: [connect]
    to: ['unix:${dir}/*.deputy', 'unix:${dir}/good', 'tcp:127.0.0.1:7061']
  - deny: [connect]
    to: ['unix:${dir}/bad']";
    let (unix, inet) = (libc::AF_UNIX, libc::AF_INET);
    let (stream, packets, datagrams) = (libc::SOCK_STREAM, libc::SOCK_SEQPACKET, libc::SOCK_DGRAM);
    let path = |name: &str| Address::unix(place.at(name));
    let (good, bad) = (Address::inet("127.0.0.1:7061"), Address::inet("127.0.0.1:7060"));
    let _servers = [
        listener(&path("good"), unix, stream),
        listener(&path("bad"), unix, stream),
        listener(&good, inet, stream),
        listener(&bad, inet, stream),
    ];
    let (one, _other) = pair(packets).unwrap();
    let _deputies = [
        ("good unix", connected(unix, stream, &path("good"))),
        ("bad unix", connected(unix, stream, &path("bad"))),
        ("new unix", socket(unix, stream, 0).unwrap()),
        ("new packets", socket(unix, packets, 0).unwrap()),
        ("unix server", listener(&path("third"), unix, stream)),
        ("pair", one),
        ("good tcp", connected(inet, stream, &good)),
        ("bad tcp", connected(inet, stream, &bad)),
        ("bad udp", connected(inet, datagrams, &bad)),
        ("new tcp", socket(inet, stream, 0).unwrap()),
        ("new udp", socket(inet, datagrams, 0).unwrap()),
        ("tcp server", listener(&Address::inet("127.0.0.1:7062"), inet, stream)),
        ("netlink", socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_GENERIC).unwrap()),
    ]
    .map(|(name, socket)| Deputy::of(dir, name, socket));
    let ask = |name: &str| ask(dir, name);
    let denied = |rights| Expected::deny(Hook::FILE_RECEIVE, rights);
    let of_network = |rights| Expected::deny(Hook::FILE_RECEIVE_INET, rights);
    let nobody = || denied(Rights::CONNECT).object(&ObjectSubject::anon(ANON_SOCKET));
    let peer = |transport| {
        let address: Ipv6Addr = "::ffff:127.0.0.1".parse().unwrap();
        let object = ObjectSubject::inet(transport, address.octets(), 7060);
        of_network(Rights::CONNECT).object(&object)
    };
    let generic = ObjectSubject::family(16, 3, 16);
    let bad_unix = denied(Rights::CONNECT).path(place.at("bad")).rule(5);
    let sent = |name| send(&ask(name)?, b"x");
    Trial::new(&place, spec)
        .allowed("a unix connection to whom it may connect", || sent("good unix"))
        .refused("one to another", || ask("bad unix").map(drop), EACCES, bad_unix)
        .refused("one that is none yet", || ask("new unix").map(drop), EACCES, nobody())
        .refused("one of packets", || ask("new packets").map(drop), EACCES, nobody())
        .allowed("a unix server", || ask("unix server").map(drop))
        .allowed("one of a pair", || sent("pair"))
        .allowed("a TCP connection to whom it may connect", || sent("good tcp"))
        .refused(
            "a TCP connection to another",
            || ask("bad tcp").map(drop),
            EACCES,
            peer(TRANSPORT_TCP),
        )
        .refused(
            "a UDP socket whose peer is another",
            || ask("bad udp").map(drop),
            EACCES,
            peer(TRANSPORT_UDP),
        )
        .allowed("a TCP socket that is not connected", || ask("new tcp").map(drop))
        .allowed("a UDP socket", || ask("new udp").map(drop))
        .allowed("a TCP server", || ask("tcp server").map(drop))
        .refused(
            "a family that it may not make sockets of",
            || ask("netlink").map(drop),
            EACCES,
            of_network(Rights::SOCKET).object(&generic),
        )
        .run();
}

#[test]
fn an_agents_processes_hand_each_other_what_they_may_open() {
    let place = Place::on_disk("receive_own");
    let public = place.file("public");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut child = fence.tagged(&agent, |_| -> Res<i64> {
        let (one, other) = pair(libc::SOCK_STREAM)?;
        send_file(&one, &open(&public, libc::O_RDONLY)?)?;
        let file = receive_file(&other)?.ok_or(EACCES)?;
        assert_ne!(file.as_raw_fd(), -1);
        read(&file).map(|content| content.len() as i64)
    });
    assert_eq!(child.run(0), Ok(6));
    fence.quiet(&agent);
}
