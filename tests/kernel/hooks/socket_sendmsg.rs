//! Sending to a peer that is named in the call.

use std::net::Ipv6Addr;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ObjectSubject, TRANSPORT_TCP, TRANSPORT_UDP};

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{open, pipe, send_file, splice, write};
use crate::support::sys::net::{
    Address, connect, control, listener, send, send_message, send_messages, send_to, send_with,
    socket,
};
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

#[test]
fn a_connected_socket_that_came_from_outside_is_judged_by_its_peer() {
    const POLICY: &str = "\
network:
  - allow: [connect]
    to: ['tcp:127.0.0.1:7021', 'udp:[::1]:7021']";
    let place = Place::on_disk("sendmsg_foreign");
    let _servers =
        [GOOD, BAD].map(|at| listener(&Address::inet(at), libc::AF_INET, libc::SOCK_STREAM));
    // Made by the test, which has no tag, and inherited.
    let connected = |family: i32, kind: i32, to: &str| {
        let socket = socket(family, kind, 0).unwrap();
        connect(&socket, &Address::inet(to)).unwrap();
        socket
    };
    let (stream, inet, inet6) = (libc::SOCK_STREAM, libc::AF_INET, libc::AF_INET6);
    let good = connected(inet, stream, GOOD);
    let bad = connected(inet, stream, BAD);
    let mapped = connected(inet6, stream, "[::ffff:127.0.0.1]:7020");
    let good_datagrams = connected(inet6, libc::SOCK_DGRAM, "[::1]:7021");
    let bad_datagrams = connected(inet6, libc::SOCK_DGRAM, "[::1]:7020");
    let denied = |transport: u8, address: &str| {
        let address: Ipv6Addr = address.parse().unwrap();
        let object = ObjectSubject::inet(transport, address.octets(), 7020);
        Expected::deny(Hook::SOCKET_SENDMSG, Rights::CONNECT).object(&object)
    };
    let tcp = || denied(TRANSPORT_TCP, "::ffff:127.0.0.1");
    let refused = |sent: Res| match sent {
        // Nobody is there, as the datagram before has found out.
        Err(Errno(libc::ECONNREFUSED)) => Ok(()),
        other => other,
    };
    Trial::new(&place, POLICY)
        .refused("another peer", || send(&bad, b"x"), EACCES, tcp())
        .refused("another peer of an IPv6 socket", || send(&mapped, b"x"), EACCES, tcp())
        .refused(
            "datagrams to another",
            || refused(send(&bad_datagrams, b"x")),
            EACCES,
            denied(TRANSPORT_UDP, "::1"),
        )
        .allowed("a peer that it might have connected itself", || send(&good, b"x"))
        .allowed("datagrams to one", || refused(send(&good_datagrams, b"x")))
        .run();
}

fn option(level: i32, kind: i32) -> Expected {
    let object = ObjectSubject::option(level as u32, kind as u32);
    Expected::deny(Hook::SOCKET_SENDMSG, Rights::KERNEL).object(&object)
}

#[test]
fn control_messages_that_lead_elsewhere_are_refused() {
    let place = Place::on_disk("sendmsg_control");
    let to = |at: &str, controls: Vec<u8>| {
        let at = Address::inet(at);
        let family = if at.0.len() == 16 { libc::AF_INET } else { libc::AF_INET6 };
        send_with(&socket(family, libc::SOCK_DGRAM, 0)?, b"x", &at, &controls)
    };
    let v6 = "[::1]:7021";
    let word = |value: u32| value.to_ne_bytes().to_vec();
    // One option that fills the header and means nothing.
    let padding = [0, 0, 1, 4, 0, 0, 0, 0];
    let class = || control(libc::SOL_IPV6, libc::IPV6_TCLASS, &word(0));
    // `struct in_pktinfo` and `struct in6_pktinfo`, each with the link's number.
    let source = |link: u32| [word(link), vec![0; 8]].concat();
    let source6 = |link: u32| [vec![0; 16], word(link)].concat();
    Trial::new(&place, POLICY)
        .refused(
            "hop-by-hop options",
            || to(v6, control(libc::SOL_IPV6, libc::IPV6_HOPOPTS, &padding)),
            EACCES,
            option(libc::SOL_IPV6, libc::IPV6_HOPOPTS),
        )
        .refused(
            "options behind something harmless",
            || to(v6, [class(), control(libc::SOL_IPV6, libc::IPV6_DSTOPTS, &padding)].concat()),
            EACCES,
            option(libc::SOL_IPV6, libc::IPV6_DSTOPTS),
        )
        .refused(
            "a routing table",
            || to(GOOD, control(libc::SOL_SOCKET, libc::SO_MARK, &word(1))),
            EACCES,
            option(libc::SOL_SOCKET, libc::SO_MARK),
        )
        .refused(
            "a link",
            || to(GOOD, control(libc::SOL_IP, libc::IP_PKTINFO, &source(1))),
            EACCES,
            option(libc::SOL_IP, libc::IP_PKTINFO),
        )
        .refused(
            "a link in IPv6",
            || to(v6, control(libc::SOL_IPV6, libc::IPV6_PKTINFO, &source6(1))),
            EACCES,
            option(libc::SOL_IPV6, libc::IPV6_PKTINFO),
        )
        .allowed("a source", || to(GOOD, control(libc::SOL_IP, libc::IP_PKTINFO, &source(0))))
        .allowed("a source in IPv6", || {
            to(v6, control(libc::SOL_IPV6, libc::IPV6_PKTINFO, &source6(0)))
        })
        .allowed("a traffic class, many times", || to(v6, class().repeat(100)))
        .run();
}

#[test]
fn a_routing_header_is_refused_before_the_kernel_looks_at_it() {
    // The kernel takes type 2 only, where it was built for mobile hosts; inside nothing is taken.
    let place = Place::on_disk("sendmsg_routing");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut child = fence.tagged(&agent, |step| -> Res {
        let header = [&[0, 2, 2, 1, 0, 0, 0, 0][..], &Ipv6Addr::LOCALHOST.octets()].concat();
        let kind = if step == 0 { libc::IPV6_RTHDR } else { libc::IPV6_2292RTHDR };
        let controls = control(libc::SOL_IPV6, kind, &header);
        let to = Address::inet("[::1]:7021");
        send_with(&socket(libc::AF_INET6, libc::SOCK_DGRAM, 0)?, b"x", &to, &controls)
    });
    for (step, kind) in [libc::IPV6_RTHDR, libc::IPV6_2292RTHDR].into_iter().enumerate() {
        assert_eq!(child.try_to(step as u32), Err(EACCES));
        fence.expect(&agent, &child, &[option(libc::SOL_IPV6, kind)]);
    }
}

#[test]
fn a_control_message_that_cannot_be_read_is_a_fault() {
    let place = Place::on_disk("sendmsg_malformed");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut child = fence.tagged(&agent, |_| -> Res {
        // It says that it is longer than all there is.
        let mut bytes = control(libc::SOL_IP, libc::IP_TOS, &[0; 4]);
        bytes[0] = 200;
        let to = Address::inet(GOOD);
        send_with(&socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?, b"x", &to, &bytes)
    });
    assert_eq!(child.try_to(0), Err(EACCES));
    let fault = Expected::fault(Hook::SOCKET_SENDMSG, Fault::BAD_ADDRESS);
    fence.expect(&agent, &child, &[fault]);
}

#[test]
fn what_is_sent_by_moving_a_file_reaches_only_a_fixed_peer() {
    // Before 6.5 `sendfile` and `splice` pass no hook here. They name no peer, so that it must have
    // been judged when it was fixed.
    let place = Place::on_disk("sendmsg_sendfile");
    let file = place.file("file");
    let mut fence = Fence::up();
    let policy = format!("files:\n  - allow: [read]\n    paths: ['${{dir}}/**']\n{POLICY}");
    let agent = fence.agent(place.path(), &policy);
    let op = |step: u32| -> Res {
        let (kind, how) = (step / 2, step % 2);
        let kind = if kind == 0 { libc::SOCK_DGRAM } else { libc::SOCK_STREAM };
        let socket = socket(libc::AF_INET, kind, 0)?;
        let file = open(&file, libc::O_RDONLY)?;
        if how == 0 {
            return send_file(&socket, &file, 1);
        }
        let (from, into) = pipe()?;
        write(&into, b"x")?;
        splice(&from, &socket, 1)
    };
    let mut inside = fence.child(op);
    let before: Vec<Res> = (0..4).map(|step| inside.try_to(step)).collect();
    assert!(
        before.iter().all(|answer| matches!(
            answer,
            Err(Errno(libc::EDESTADDRREQ | libc::EPIPE | libc::ENOTCONN))
        )),
        "a socket without a peer sent something: {before:?}"
    );
    inside.tag(agent.tag);
    for step in 0..4 {
        assert!(inside.try_to(step).is_err(), "{step}");
    }
}
