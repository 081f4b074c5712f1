//! Connecting to unix sockets, by the name that the server bound.

use std::os::fd::OwnedFd;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{KIND_ABSTRACT, ObjectSubject};

use crate::support::case::Case;
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::files::chdir;
use crate::support::sys::net::{Address, connect, listener, pair, send, socket};
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
