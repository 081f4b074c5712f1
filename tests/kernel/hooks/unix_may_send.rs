//! Sending to unix datagram sockets, by the name that the receiver bound.

use std::os::fd::OwnedFd;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::Case;
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::net::{Address, bind, connect, pair, receiver, send, send_to, socket};
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

const POLICY: &str = "\
network:
  - allow: [send]
    to: ['unix:${dir}/good']";

pub const CASE: Case = Case {
    hook: Hook::UNIX_MAY_SEND,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| Box::new(receivers(dir)),
    denied: |dir| to(&dir.join("bad")),
    allowed: |dir| to(&dir.join("good")),
    event: |dir| Expected::deny(Hook::UNIX_MAY_SEND, Rights::SEND).path(dir.join("bad")),
    by_child: false,
};

fn receivers(dir: &Path) -> Vec<OwnedFd> {
    let at = |name: &str| {
        let path = dir.join(name);
        let _ = std::fs::remove_file(&path);
        receiver(&Address::unix(path), libc::AF_UNIX, libc::SOCK_DGRAM)
    };
    vec![at("good"), at("bad")]
}

fn to(path: &Path) -> Res {
    send_to(&socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0)?, b"x", 0, &Address::unix(path))
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn fixing_the_peer_is_judged_as_sending() {
    let place = Place::on_disk("may_send_connect");
    let _receivers = receivers(place.path());
    let fixed = |name: &str| {
        let socket = socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0)?;
        connect(&socket, &Address::unix(place.at(name)))?;
        send(&socket, b"x")
    };
    Trial::new(&place, POLICY)
        .refused("to another", || fixed("bad"), EACCES, (CASE.event)(place.path()))
        .allowed("to the one that is allowed", || fixed("good"))
        .run();
}

#[test]
fn a_pair_of_ones_own_needs_no_rule() {
    let place = Place::on_disk("may_send_pair");
    Trial::new(&place, POLICY)
        .allowed("socketpair", || {
            let (one, _other) = pair(libc::SOCK_DGRAM)?;
            send(&one, b"x")
        })
        .run();
}

#[test]
fn a_receiver_that_the_agent_made_needs_no_rule() {
    const POLICY: &str = "\
network:
  - allow: [bind]
    on: ['unix:@picket-own-receiver']";
    let place = Place::on_disk("may_send_own");
    let at = Address::hidden("picket-own-receiver");
    let own = || {
        let receiver = socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0)?;
        bind(&receiver, &at)?;
        send_to(&socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0)?, b"x", 0, &at)
    };
    Trial::new(&place, POLICY).allowed("a name", own).run();
}
