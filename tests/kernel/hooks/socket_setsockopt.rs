//! Socket options.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::net::{set_option, socket};
use crate::support::sys::{EPERM, Res};
use crate::support::trial::Trial;

/// Options are no matter of policy.
const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']";

pub const CASE: Case = Case {
    hook: Hook::SOCKET_SETSOCKOPT,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| v4(libc::SOL_SOCKET, libc::SO_BINDTODEVICE, b"lo\0"),
    allowed: |_| v4(libc::SOL_SOCKET, libc::SO_KEEPALIVE, &ON),
    event: |_| denied(libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
    by_child: false,
};

const ON: [u8; 4] = 1_u32.to_ne_bytes();
const NONE: [u8; 4] = [0; 4];

fn v4(level: i32, name: i32, value: &[u8]) -> Res {
    set_option(&socket(libc::AF_INET, libc::SOCK_STREAM, 0)?, level, name, value)
}

fn v6(level: i32, name: i32, value: &[u8]) -> Res {
    set_option(&socket(libc::AF_INET6, libc::SOCK_DGRAM, 0)?, level, name, value)
}

fn denied(level: i32, name: i32) -> Expected {
    let object = ObjectSubject::option(level as u32, name as u32);
    Expected::deny(Hook::SOCKET_SETSOCKOPT, Rights::KERNEL).object(&object)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn what_leads_traffic_elsewhere_is_refused_to_root_too() {
    const IP_UNICAST_IF: i32 = 50;
    const IPV6_UNICAST_IF: i32 = 76;
    const SO_BINDTOIFINDEX: i32 = 62;
    let place = Place::on_disk("options_refused");
    let (v4_options, v6_options) = (
        [
            ("the link by number", libc::SOL_SOCKET, SO_BINDTOIFINDEX, &ON[..]),
            ("a routing table", libc::SOL_SOCKET, libc::SO_MARK, &ON),
            ("a source route", libc::SOL_IP, libc::IP_OPTIONS, &[]),
            ("addresses of others", libc::SOL_IP, libc::IP_TRANSPARENT, &ON),
            ("a link for datagrams", libc::SOL_IP, IP_UNICAST_IF, &NONE),
            ("a connection without a peer", libc::SOL_TCP, libc::TCP_REPAIR, &ON),
        ],
        [
            ("a routing header", libc::SOL_IPV6, libc::IPV6_RTHDR, &[][..]),
            ("hop-by-hop options", libc::SOL_IPV6, libc::IPV6_HOPOPTS, &[]),
            ("destination options", libc::SOL_IPV6, libc::IPV6_DSTOPTS, &[]),
            ("options before a routing header", libc::SOL_IPV6, libc::IPV6_RTHDRDSTOPTS, &[]),
            ("options as RFC 2292 has them", libc::SOL_IPV6, libc::IPV6_2292PKTOPTIONS, &[]),
            ("a link for IPv6 datagrams", libc::SOL_IPV6, IPV6_UNICAST_IF, &NONE),
            ("IPv6 addresses of others", libc::SOL_IPV6, libc::IPV6_TRANSPARENT, &ON),
            ("a link with a source", libc::SOL_IPV6, libc::IPV6_PKTINFO, &[0; 20]),
        ],
    );
    let mut trial = Trial::new(&place, POLICY);
    for (name, level, option, value) in v4_options {
        let event = denied(level, option);
        trial = trial.refused(name, move || v4(level, option, value), EPERM, event);
    }
    for (name, level, option, value) in v6_options {
        let event = denied(level, option);
        trial = trial.refused(name, move || v6(level, option, value), EPERM, event);
    }
    trial.run();
}

#[test]
fn a_flow_label_cannot_bring_headers_along() {
    // `struct in6_flowlabel_req`: address, label, action (get), share (exclusive), flags (create),
    // expiry, linger, padding.
    let mut request = std::net::Ipv6Addr::LOCALHOST.octets().to_vec();
    request.extend([0; 4]);
    request.extend([0, 1]);
    request.extend(1_u16.to_ne_bytes());
    request.extend([0; 8]);
    const IPV6_FLOWLABEL_MGR: i32 = 32;
    let place = Place::on_disk("option_flow_label");
    let event = denied(libc::SOL_IPV6, IPV6_FLOWLABEL_MGR);
    Trial::new(&place, POLICY)
        .refused(
            "asking for a label",
            || v6(libc::SOL_IPV6, IPV6_FLOWLABEL_MGR, &request),
            EPERM,
            event,
        )
        .run();
}

#[test]
fn what_tunes_a_socket_is_left_alone() {
    let place = Place::on_disk("options_allowed");
    let (socket_level, tcp, ip, ipv6) =
        (libc::SOL_SOCKET, libc::SOL_TCP, libc::SOL_IP, libc::SOL_IPV6);
    Trial::new(&place, POLICY)
        .allowed("reuse", || v4(socket_level, libc::SO_REUSEADDR, &ON))
        .allowed("reuse of a port", || v4(socket_level, libc::SO_REUSEPORT, &ON))
        .allowed("a buffer", || v4(socket_level, libc::SO_SNDBUF, &ON))
        .allowed("a timeout", || v4(socket_level, libc::SO_RCVTIMEO, &[0; 16]))
        .allowed("no delay", || v4(tcp, libc::TCP_NODELAY, &ON))
        .allowed("fast open", || v4(tcp, libc::TCP_FASTOPEN_CONNECT, &ON))
        .allowed("keepalive", || v4(tcp, libc::TCP_KEEPIDLE, &ON))
        .allowed("type of service", || v4(ip, libc::IP_TOS, &NONE))
        .allowed("errors", || v4(ip, libc::IP_RECVERR, &ON))
        .allowed("where it arrived", || v4(ip, libc::IP_PKTINFO, &ON))
        .allowed("both families", || v6(ipv6, libc::IPV6_V6ONLY, &NONE))
        .allowed("traffic class", || v6(ipv6, libc::IPV6_TCLASS, &NONE))
        .allowed("where it arrived, in IPv6", || v6(ipv6, libc::IPV6_RECVPKTINFO, &ON))
        .run();
}
