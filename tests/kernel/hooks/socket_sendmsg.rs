//! Sending to a peer that is named in the call.

use std::net::Ipv6Addr;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ObjectSubject, TRANSPORT_TCP, TRANSPORT_UDP};

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::net::{Address, listener, send_message, send_messages, send_to, socket};
use crate::support::sys::{EACCES, Errno, Res};
use crate::support::trial::Trial;

const POLICY: &str = "\
network:
  - allow: [send]
    to: ['udp:127.0.0.1:7021', 'udp:[::1]:7021']
  - allow: [connect]
    to: ['tcp:127.0.0.1:7021']";

const GOOD: &str = "127.0.0.1:7021";
const BAD: &str = "127.0.0.1:7020";

pub const CASE: Case = Case {
    hook: Hook::SOCKET_SENDMSG,
    errno: EACCES,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| udp(libc::AF_INET, &Address::inet(BAD)),
    allowed: |_| udp(libc::AF_INET, &Address::inet(GOOD)),
    event: |_| denied("::ffff:127.0.0.1"),
    by_child: false,
};

fn udp(family: i32, to: &Address) -> Res {
    send_to(&socket(family, libc::SOCK_DGRAM, 0)?, b"x", 0, to)
}

fn denied(address: &str) -> Expected {
    let address: Ipv6Addr = address.parse().unwrap();
    let object = ObjectSubject::inet(TRANSPORT_UDP, address.octets(), 7020);
    Expected::deny(Hook::SOCKET_SENDMSG, Rights::SEND).object(&object)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn every_way_to_name_the_peer_is_judged() {
    let place = Place::on_disk("sendmsg_names");
    let v4 = || denied("::ffff:127.0.0.1");
    let (inet, inet6) = (libc::AF_INET, libc::AF_INET6);
    Trial::new(&place, POLICY)
        .refused(
            "an address that says it has no family",
            || udp(inet, &Address::inet_as(libc::AF_UNSPEC, BAD)),
            EACCES,
            v4(),
        )
        .refused(
            "an IPv4 address in IPv6",
            || udp(inet6, &Address::inet("[::ffff:127.0.0.1]:7020")),
            EACCES,
            v4(),
        )
        .refused(
            "an IPv4 address on an IPv6 socket",
            || udp(inet6, &Address::inet(BAD)),
            EACCES,
            v4(),
        )
        .refused("0.0.0.0", || udp(inet, &Address::inet("0.0.0.0:7020")), EACCES, v4())
        .refused("::", || udp(inet6, &Address::inet("[::]:7020")), EACCES, denied("::1"))
        .refused(
            "sendmsg",
            || {
                let socket = socket(inet, libc::SOCK_DGRAM, 0)?;
                send_message(&socket, b"x", &Address::inet(BAD))
            },
            EACCES,
            v4(),
        )
        .allowed("IPv6", || udp(inet6, &Address::inet("[::1]:7021")))
        .allowed("no family where IPv4 is allowed", || {
            udp(inet, &Address::inet_as(libc::AF_UNSPEC, GOOD))
        })
        .run();
}

#[test]
fn tcp_that_connects_by_sending_is_judged_as_a_connection() {
    let place = Place::on_disk("sendmsg_fastopen");
    let _servers =
        [GOOD, BAD].map(|at| listener(&Address::inet(at), libc::AF_INET, libc::SOCK_STREAM));
    let fast_open = |to: &str| {
        let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        let sent = send_to(&socket, b"x", libc::MSG_FASTOPEN, &Address::inet(to));
        // Without a cookie the data waits for the connection, or the feature is off.
        sent.or_else(|error| match error {
            Errno(libc::EINPROGRESS | libc::EOPNOTSUPP) => Ok(()),
            other => Err(other),
        })
    };
    let address: Ipv6Addr = "::ffff:127.0.0.1".parse().unwrap();
    let object = ObjectSubject::inet(TRANSPORT_TCP, address.octets(), 7020);
    let event = Expected::deny(Hook::SOCKET_SENDMSG, Rights::CONNECT).object(&object);
    Trial::new(&place, POLICY)
        .refused("to another peer", || fast_open(BAD), EACCES, event)
        .allowed("to a peer that may be connected", || fast_open(GOOD))
        .run();
}

#[test]
fn of_many_datagrams_each_is_judged() {
    let place = Place::on_disk("sendmsg_many");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let (good, bad) = (Address::inet(GOOD), Address::inet(BAD));
    let mut child = fence.child(|_| {
        let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
        send_messages(&socket, b"x", &[&good, &bad, &good])
    });
    assert_eq!(child.run(0), Ok(3));
    child.tag(agent.tag);
    assert_eq!(child.run(0), Ok(1), "it stops at the one that is refused");
    fence.expect(&agent, &child, &[denied("::ffff:127.0.0.1")]);
}
