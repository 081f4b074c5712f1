//! Making sockets.

use std::os::fd::OwnedFd;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::net::{Address, bind, pair, send_to, socket};
use crate::support::sys::{EACCES, Errno, Res};
use crate::support::trial::Trial;

/// `htons(ETH_P_ALL)`.
const ETH_P_ALL: i32 = 0x0300;

/// Says nothing of sockets.
const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']";

const EAFNOSUPPORT: Errno = Errno(libc::EAFNOSUPPORT);
const EPROTONOSUPPORT: Errno = Errno(libc::EPROTONOSUPPORT);

pub const CASE: Case = Case {
    hook: Hook::SOCKET_CREATE,
    errno: EAFNOSUPPORT,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| make(libc::AF_PACKET, libc::SOCK_RAW, ETH_P_ALL),
    allowed: |_| make(libc::AF_INET, libc::SOCK_STREAM, 0),
    event: |_| denied(17, 3, 0x0300).errno(libc::EAFNOSUPPORT),
    by_child: false,
};

fn make(family: i32, kind: i32, protocol: i32) -> Res {
    socket(family, kind, protocol).map(drop)
}

fn denied(family: u16, kind: u8, protocol: u16) -> Expected {
    let object = ObjectSubject::family(family, kind, protocol);
    Expected::deny(Hook::SOCKET_CREATE, Rights::SOCKET).object(&object)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn only_what_the_other_hooks_can_judge_is_made() {
    const MPTCP: i32 = 262;
    const NETLINK_AUDIT: i32 = 9;
    let place = Place::on_disk("socket_kinds");
    Trial::new(&place, POLICY)
        .refused(
            "a raw IPv4 socket",
            || make(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
            EPROTONOSUPPORT,
            denied(2, 3, 1),
        )
        .refused(
            "a raw IPv6 socket",
            || make(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_TCP),
            EPROTONOSUPPORT,
            denied(10, 3, 6),
        )
        .refused(
            "multipath TCP",
            || make(libc::AF_INET, libc::SOCK_STREAM, MPTCP),
            EPROTONOSUPPORT,
            denied(2, 1, 262),
        )
        .refused(
            "netlink audit",
            || make(libc::AF_NETLINK, libc::SOCK_RAW, NETLINK_AUDIT),
            EAFNOSUPPORT,
            denied(16, 3, 9).errno(libc::EAFNOSUPPORT),
        )
        .allowed("netlink route", || make(libc::AF_NETLINK, libc::SOCK_RAW, 0))
        .allowed("TCP over IPv6", || make(libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP))
        .allowed("UDP", || make(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDP))
        .allowed("non-blocking", || make(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0))
        .allowed("unix", || make(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0))
        .allowed("a pair", || pair(libc::SOCK_STREAM).map(drop))
        .run();
}

#[test]
fn a_policy_can_allow_kinds_of_sockets_and_take_them_away() {
    const POLICY: &str = "\
network:
  - allow: [socket]
    families: [inet/raw/icmp, packet, netlink/kobject_uevent]
  - deny: [socket]
    families: [inet6/dgram, unix/seqpacket]
capabilities:
  - allow: [net_raw]";
    const KOBJECT_UEVENT: i32 = 15;
    let place = Place::on_disk("socket_families");
    let taken = |family, kind, line| {
        denied(family, kind, 0).rule(line).errno(match family {
            1 => libc::EAFNOSUPPORT,
            _ => libc::EPROTONOSUPPORT,
        })
    };
    Trial::new(&place, POLICY)
        .allowed("raw ICMP", || make(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP))
        .allowed("packets", || make(libc::AF_PACKET, libc::SOCK_DGRAM, ETH_P_ALL))
        .allowed("uevents", || make(libc::AF_NETLINK, libc::SOCK_DGRAM, KOBJECT_UEVENT))
        .refused(
            "another raw protocol",
            || make(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_TCP),
            EPROTONOSUPPORT,
            denied(2, 3, 6),
        )
        .refused(
            "UDP over IPv6",
            || make(libc::AF_INET6, libc::SOCK_DGRAM, 0),
            EPROTONOSUPPORT,
            taken(10, 2, 5),
        )
        .refused(
            "a pair of sequenced packets",
            || pair(libc::SOCK_SEQPACKET).map(drop),
            EAFNOSUPPORT,
            taken(1, 5, 5),
        )
        .allowed("TCP over IPv6", || make(libc::AF_INET6, libc::SOCK_STREAM, 0))
        .run();
}

#[test]
fn a_socket_that_no_rule_over_addresses_reaches_is_its_makers_to_use() {
    const POLICY: &str = "\
network:
  - allow: [socket]
    families: [inet/raw/icmp]
capabilities:
  - allow: [net_raw]";
    let place = Place::on_disk("socket_unaddressed");
    // Made by the test, which has no tag, and inherited.
    let foreign = socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_UDP).unwrap();
    let same_kind = socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP).unwrap();
    let to = Address::inet("127.0.0.1:0");
    let send = |socket: &OwnedFd| send_to(socket, &[0; 8], 0, &to);
    let event = || {
        Expected::deny(Hook::SOCKET_SENDMSG, Rights::SOCKET).object(&ObjectSubject::family(
            2,
            3,
            libc::IPPROTO_UDP as u16,
        ))
    };
    let bound = Expected::deny(Hook::SOCKET_BIND, Rights::SOCKET).object(&ObjectSubject::family(
        2,
        3,
        libc::IPPROTO_UDP as u16,
    ));
    Trial::new(&place, POLICY)
        .allowed("its own", || send(&socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)?))
        .allowed("one that it might have made", || send(&same_kind))
        .refused("another", || send(&foreign), EACCES, event())
        .refused("taking an address with another", || bind(&foreign, &to), EACCES, bound)
        .run();
}
