//! Connecting to unix sockets, by the name that the server bound.

use std::os::fd::OwnedFd;
use std::path::Path;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{KIND_ABSTRACT, ObjectSubject};

use crate::support::case::Case;
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{
    chdir, open, pipe, proc_fd, read_next, umount, unshare_mounts, write,
};
use crate::support::sys::mounts::bind_at as bind_mount;
use crate::support::sys::net::{Address, bind, connect, listen, listener, pair, send, socket};
use crate::support::sys::process::{exit, fork, kill, wait};
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

const POLICY: &str = "\
network:
  - allow: [connect]
    to: ['unix:${dir}/good', 'unix:@picket-good']
  - deny: [connect]
    to: ['unix:${dir}/bad']";

pub const CASE: Case = Case {
    hook: Hook::UNIX_STREAM_CONNECT,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| Box::new(servers(dir, libc::SOCK_STREAM)),
    denied: |dir| to(&Address::unix(dir.join("bad")), libc::SOCK_STREAM),
    allowed: |dir| to(&Address::unix(dir.join("good")), libc::SOCK_STREAM),
    event: |dir| denied().path(dir.join("bad")).rule(5),
    by_child: false,
};

fn servers(dir: &Path, kind: i32) -> Vec<OwnedFd> {
    let at = |name: &str| {
        let path = dir.join(name);
        let _ = std::fs::remove_file(&path);
        listener(&Address::unix(path), libc::AF_UNIX, kind)
    };
    vec![at("good"), at("bad")]
}

fn to(address: &Address, kind: i32) -> Res {
    connect(&socket(libc::AF_UNIX, kind, 0)?, address)
}

fn denied() -> Expected {
    Expected::deny(Hook::UNIX_STREAM_CONNECT, Rights::CONNECT)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn the_server_is_judged_and_not_the_name_that_was_written() {
    let place = Place::on_disk("unix_names");
    let dir = place.path();
    let _servers = servers(dir, libc::SOCK_STREAM);
    std::os::unix::fs::symlink("bad", place.at("link")).unwrap();
    let bad = || denied().path(place.at("bad")).rule(5);
    let by_link = Address::unix(place.at("link"));
    Trial::new(&place, POLICY)
        .refused("a link", || to(&by_link, libc::SOCK_STREAM), EACCES, bad())
        .refused(
            "a relative name",
            || chdir(dir).and_then(|()| to(&Address::unix("bad"), libc::SOCK_STREAM)),
            EACCES,
            bad(),
        )
        .run();
    // The file may be called `good`, the server was bound as `bad`.
    std::fs::rename(place.at("good"), place.at("was-good")).unwrap();
    std::fs::hard_link(place.at("bad"), place.at("good")).unwrap();
    let linked = Address::unix(place.at("good"));
    Trial::new(&place, POLICY)
        .refused("a hard link", || to(&linked, libc::SOCK_STREAM), EACCES, bad())
        .run();
}

#[test]
fn sequenced_packets_connect_the_same_way() {
    let place = Place::on_disk("unix_packets");
    let _servers = servers(place.path(), libc::SOCK_SEQPACKET);
    let (bad, good) = (Address::unix(place.at("bad")), Address::unix(place.at("good")));
    let event = denied().path(place.at("bad")).rule(5);
    Trial::new(&place, POLICY)
        .refused("another", || to(&bad, libc::SOCK_SEQPACKET), EACCES, event)
        .allowed("the one that is allowed", || to(&good, libc::SOCK_SEQPACKET))
        .run();
}

#[test]
fn abstract_names_are_judged() {
    let place = Place::on_disk("unix_abstract");
    let address = |name: &str| Address::hidden(name);
    let _servers = ["picket-good", "picket-bad"]
        .map(|name| listener(&address(name), libc::AF_UNIX, libc::SOCK_STREAM));
    let mut name = ObjectSubject::new();
    name.bytes[0] = KIND_ABSTRACT;
    name.bytes[1..11].copy_from_slice(b"picket-bad");
    name.len = 11;
    Trial::new(&place, POLICY)
        .refused(
            "another name",
            || to(&address("picket-bad"), libc::SOCK_STREAM),
            EACCES,
            denied().object(&name),
        )
        .allowed("the name that is allowed", || to(&address("picket-good"), libc::SOCK_STREAM))
        .run();
}

#[test]
fn a_pair_of_ones_own_needs_no_rule() {
    let place = Place::on_disk("unix_pair");
    Trial::new(&place, POLICY)
        .allowed("socketpair", || send(&pair(libc::SOCK_STREAM)?.0, b"x").or_else(closed))
        .run();
}

/// The other end was dropped in the same expression.
fn closed(error: crate::support::sys::Errno) -> Res {
    if error.0 == libc::EPIPE { Ok(()) } else { Err(error) }
}

/// A server of one's own, and a client of it.
fn own(address: &Address, kind: i32) -> Res {
    let server = socket(libc::AF_UNIX, kind, 0)?;
    bind(&server, address)?;
    listen(&server)?;
    connect(&socket(libc::AF_UNIX, kind, 0)?, address)
}

#[test]
fn a_server_that_the_agent_made_needs_no_rule() {
    const POLICY: &str = "\
files:
  - allow: [create, delete]
    paths: ['${dir}/**']
network:
  - allow: [bind]
    on: ['unix:@picket-own*']
  - deny: [connect]
    to: ['unix:**/own.sock']";
    let place = Place::on_disk("unix_own");
    let path = place.at("own.sock");
    let clear = || drop(std::fs::remove_file(&path));
    Trial::new(&place, POLICY)
        .prepare(clear)
        .allowed("with a path", || own(&Address::unix(&path), libc::SOCK_STREAM))
        .allowed("of packets", || own(&Address::unix(&path), libc::SOCK_SEQPACKET))
        .allowed("with a name", || own(&Address::hidden("picket-own"), libc::SOCK_STREAM))
        .run();
    // Of another agent it is a server like any other.
    let mut fence = Fence::up();
    let (agent, other) = (fence.agent(place.path(), POLICY), fence.agent(place.path(), POLICY));
    let mut server = fence.tagged(&agent, |_| -> Res<i64> {
        let server = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
        bind(&server, &Address::hidden("picket-own2"))?;
        listen(&server)?;
        std::mem::forget(server);
        Ok(0)
    });
    assert_eq!(server.run(0), Ok(0));
    let call = |_| to(&Address::hidden("picket-own2"), libc::SOCK_STREAM);
    let mut own = fence.tagged(&agent, call);
    assert_eq!(own.try_to(0), Ok(()));
    fence.quiet(&agent);
    let mut stranger = fence.tagged(&other, call);
    assert_eq!(stranger.try_to(0), Err(EACCES));
    let mut name = ObjectSubject::new();
    name.bytes[0] = KIND_ABSTRACT;
    name.bytes[1..12].copy_from_slice(b"picket-own2");
    name.len = 12;
    fence.expect(&other, &stranger, &[denied().object(&name)]);
}

#[test]
fn no_other_way_to_a_server_gives_it_another_name() {
    let place = Place::on_disk("unix_ways");
    let dir = place.path();
    let servers = servers(dir, libc::SOCK_STREAM);
    let bad = || denied().path(place.at("bad")).rule(5);
    // Mounted where everything may be connected, and through descriptors.
    let mounted = place.dir("mounted");
    bind_mount(dir, &mounted).unwrap();
    let held = open(dir, libc::O_PATH).unwrap();
    let by_mount = Address::unix(mounted.join("bad"));
    let by_descriptor = Address::unix(format!("{}/bad", proc_fd(&held)));
    let socket_itself = open(place.at("bad"), libc::O_PATH).unwrap();
    let by_itself = Address::unix(proc_fd(&socket_itself));
    Trial::new(&place, POLICY)
        .refused("a mount", || to(&by_mount, libc::SOCK_STREAM), EACCES, bad())
        .refused(
            "a directory's descriptor",
            || to(&by_descriptor, libc::SOCK_STREAM),
            EACCES,
            bad(),
        )
        .refused("its own descriptor", || to(&by_itself, libc::SOCK_STREAM), EACCES, bad())
        .run();
    umount(&mounted, 0).unwrap();
    // Bound under a name that may be connected, in another mount namespace.
    drop(servers);
    let (ready_out, ready) = pipe().unwrap();
    let server = fork().unwrap().unwrap_or_else(|| {
        let served = unshare_mounts().and_then(|()| {
            let _ = std::fs::remove_file(place.at("good"));
            let server =
                listener(&Address::unix(place.at("good")), libc::AF_UNIX, libc::SOCK_STREAM);
            write(&ready, b"x")?;
            std::thread::sleep(std::time::Duration::from_secs(600));
            drop(server);
            Ok(())
        });
        exit(served.map_or_else(|errno| errno.0, |()| 0))
    });
    assert_eq!(read_next(&ready_out, &mut [0]), Ok(1));
    let by_name = Address::unix(place.at("good"));
    let elsewhere = Expected::fault(Hook::UNIX_STREAM_CONNECT, Fault::FOREIGN_MOUNT);
    Trial::new(&place, POLICY)
        .refused("another namespace", || to(&by_name, libc::SOCK_STREAM), EACCES, elsewhere)
        .run();
    kill(server, libc::SIGKILL).unwrap();
    wait(server).unwrap();
}
