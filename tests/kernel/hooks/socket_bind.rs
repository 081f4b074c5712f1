//! Taking local addresses.

use std::net::Ipv6Addr;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{KIND_ABSTRACT, ObjectSubject, TRANSPORT_TCP};

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::net::{Address, bind, reuse, socket};
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

const POLICY: &str = "\
network:
  - allow: [bind]
    on: ['tcp:127.0.0.1:7031', 'unix:@picket-good']";

pub const CASE: Case = Case {
    hook: Hook::SOCKET_BIND,
    errno: EACCES,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| tcp("127.0.0.1:7030"),
    allowed: |_| tcp("127.0.0.1:7031"),
    event: |_| denied("::ffff:127.0.0.1", 7030),
    by_child: false,
};

fn tcp(at: &str) -> Res {
    let at = Address::inet(at);
    let family = if at.0.len() == 16 { libc::AF_INET } else { libc::AF_INET6 };
    let socket = socket(family, libc::SOCK_STREAM, 0)?;
    reuse(&socket)?;
    bind(&socket, &at)
}

fn unix(at: &Address) -> Res {
    bind(&socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?, at)
}

fn denied(address: &str, port: u16) -> Expected {
    let address: Ipv6Addr = address.parse().unwrap();
    let object = ObjectSubject::inet(TRANSPORT_TCP, address.octets(), port);
    Expected::deny(Hook::SOCKET_BIND, Rights::BIND).object(&object)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn all_addresses_at_once_are_an_address_of_their_own() {
    let place = Place::on_disk("bind_addresses");
    Trial::new(&place, POLICY)
        .refused("0.0.0.0", || tcp("0.0.0.0:7031"), EACCES, denied("::ffff:0.0.0.0", 7031))
        .refused("::", || tcp("[::]:7031"), EACCES, denied("::", 7031))
        .refused("any free port", || tcp("127.0.0.1:0"), EACCES, denied("::ffff:127.0.0.1", 0))
        .allowed("IPv4 in IPv6", || tcp("[::ffff:127.0.0.1]:7031"))
        .run();
}

#[test]
fn abstract_names_are_judged() {
    let place = Place::on_disk("bind_abstract");
    let mut name = ObjectSubject::new();
    name.bytes[0] = KIND_ABSTRACT;
    name.bytes[1..11].copy_from_slice(b"picket-bad");
    name.len = 11;
    let event = Expected::deny(Hook::SOCKET_BIND, Rights::BIND).object(&name);
    // Two bytes ask the kernel for a name that nobody uses.
    let family_only = Address((libc::AF_UNIX as u16).to_ne_bytes().to_vec());
    Trial::new(&place, POLICY)
        .refused("another name", || unix(&Address::hidden("picket-bad")), EACCES, event)
        .allowed("the name that is allowed", || unix(&Address::hidden("picket-good")))
        .allowed("no name", || unix(&family_only))
        .run();
}
