//! Opening connections.

use std::net::Ipv6Addr;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ObjectSubject, TRANSPORT_TCP, TRANSPORT_UDP};

use crate::support::case::Case;
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::net::{Address, connect, listener, send, socket};
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

/// What may be reached has the ports of the second kind.
const POLICY: &str = "\
network:
  - allow: [connect]
    to: ['tcp:127.0.0.1:7011', 'udp:[::1]:7011', 'tcp:[::1]:7011']
  - deny: [connect]
    to: ['tcp:127.0.0.1:7010']
    reason: metadata";

pub const CASE: Case = Case {
    hook: Hook::SOCKET_CONNECT,
    errno: EACCES,
    policy: POLICY,
    prepare: |_| Box::new(servers()),
    denied: |_| tcp("127.0.0.1:7010"),
    allowed: |_| tcp("127.0.0.1:7011"),
    event: |_| denied(TRANSPORT_TCP, "::ffff:127.0.0.1", 7010).rule(5),
    by_child: false,
};

/// Listening on both ports, over both protocols.
fn servers() -> Vec<std::os::fd::OwnedFd> {
    let at = |text: &str, family| listener(&Address::inet(text), family, libc::SOCK_STREAM);
    let mut servers = Vec::new();
    for port in [7010, 7011] {
        servers.push(at(&format!("127.0.0.1:{port}"), libc::AF_INET));
        servers.push(at(&format!("[::1]:{port}"), libc::AF_INET6));
    }
    servers
}

fn tcp(to: &str) -> Res {
    let to = Address::inet(to);
    let family = if to.0.len() == 16 { libc::AF_INET } else { libc::AF_INET6 };
    connect(&socket(family, libc::SOCK_STREAM, 0)?, &to)
}

fn udp(family: i32, to: &str) -> Res {
    connect(&socket(family, libc::SOCK_DGRAM, 0)?, &Address::inet(to))
}

fn denied(transport: u8, address: &str, port: u16) -> Expected {
    let address: Ipv6Addr = address.parse().unwrap();
    let object = ObjectSubject::inet(transport, address.octets(), port);
    Expected::deny(Hook::SOCKET_CONNECT, Rights::CONNECT).object(&object)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn an_address_is_judged_by_where_it_leads() {
    let place = Place::on_disk("connect_addresses");
    let _servers = servers();
    let v4 = |port| denied(TRANSPORT_TCP, "::ffff:127.0.0.1", port);
    Trial::new(&place, POLICY)
        .refused("0.0.0.0", || tcp("0.0.0.0:7010"), EACCES, v4(7010).rule(5))
        .refused(
            "an IPv4 address in IPv6",
            || tcp("[::ffff:127.0.0.1]:7010"),
            EACCES,
            v4(7010).rule(5),
        )
        .refused("::", || tcp("[::]:7010"), EACCES, denied(TRANSPORT_TCP, "::1", 7010))
        .refused("another loopback address", || tcp("127.0.0.2:7011").or_else(gone), EACCES, {
            denied(TRANSPORT_TCP, "::ffff:127.0.0.2", 7011)
        })
        .refused(
            "an IPv4 address on an IPv6 datagram socket",
            || udp(libc::AF_INET6, "127.0.0.1:7010"),
            EACCES,
            denied(TRANSPORT_UDP, "::ffff:127.0.0.1", 7010),
        )
        .refused(
            "the same address over another transport",
            || udp(libc::AF_INET, "127.0.0.1:7011"),
            EACCES,
            denied(TRANSPORT_UDP, "::ffff:127.0.0.1", 7011),
        )
        .allowed("0.0.0.0 where loopback is allowed", || tcp("0.0.0.0:7011"))
        .allowed(":: where loopback is allowed", || tcp("[::]:7011"))
        .allowed("IPv4 in IPv6 where IPv4 is allowed", || tcp("[::ffff:127.0.0.1]:7011"))
        .run();
}

/// Nobody listens on that address, which is no matter of the fence.
fn gone(error: crate::support::sys::Errno) -> Res {
    if error.0 == libc::ECONNREFUSED { Ok(()) } else { Err(error) }
}

#[test]
fn a_datagram_socket_whose_peer_is_allowed_may_send_to_it() {
    let place = Place::on_disk("connect_datagram");
    Trial::new(&place, POLICY)
        .allowed("connect, send, disconnect", || {
            let socket = socket(libc::AF_INET6, libc::SOCK_DGRAM, 0)?;
            connect(&socket, &Address::inet("[::1]:7011"))?;
            send(&socket, b"x").or_else(gone)?;
            connect(&socket, &Address::unspecified())
        })
        .run();
}

#[test]
fn an_address_in_an_address_is_judged_as_well() {
    const POLICY: &str = "\
network:
  - allow: [connect]
    to: ['udp:*:7012']
  - deny: [connect]
    to: ['169.254.169.254']";
    let place = Place::on_disk("connect_translated");
    let ways = [
        ("NAT64", "64:ff9b::a9fe:a9fe"),
        ("a NAT64 of one's own", "64:ff9b:1::a9fe:a9fe"),
        ("6to4", "2002:a9fe:a9fe::1"),
        ("SIIT", "::ffff:0:a9fe:a9fe"),
    ];
    for (_, address) in ways.into_iter().chain([("", "64:ff9b::808:808")]) {
        let status = std::process::Command::new("ip")
            .args(["-6", "address", "replace", &format!("{address}/128"), "dev", "lo", "nodad"])
            .status();
        assert!(status.unwrap().success(), "{address}");
    }
    let denied = denied(TRANSPORT_UDP, "::ffff:169.254.169.254", 7012).rule(5);
    let udp = |address: &str| {
        let to = Address::inet(&format!("[{address}]:7012"));
        connect(&socket(libc::AF_INET6, libc::SOCK_DGRAM, 0)?, &to)
    };
    let mut trial = Trial::new(&place, POLICY);
    for (name, address) in ways {
        trial = trial.refused(name, move || udp(address), EACCES, denied.clone());
    }
    trial.allowed("NAT64 to another", || udp("64:ff9b::808:808")).run();
}
