//! Waiting for connections.

use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ObjectSubject, TRANSPORT_TCP};

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::net::{Address, bind, connect, listen, listener, receiver, reuse, socket};
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

const POLICY: &str = "\
network:
  - allow: [bind]
    on: ['tcp:127.0.0.1:0', 'tcp:127.0.0.1:7041']
  - allow: [connect]
    to: ['tcp:127.0.0.1:7043']";

pub const CASE: Case = Case {
    hook: Hook::SOCKET_LISTEN,
    errno: EACCES,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| listen(&tcp(libc::AF_INET)?),
    allowed: |_| listen(&bound("127.0.0.1:7041")?),
    event: |_| denied("::ffff:0.0.0.0", 0),
    by_child: false,
};

fn tcp(family: i32) -> Res<OwnedFd> {
    socket(family, libc::SOCK_STREAM, 0)
}

fn bound(at: &str) -> Res<OwnedFd> {
    let socket = tcp(libc::AF_INET)?;
    reuse(&socket)?;
    bind(&socket, &Address::inet(at))?;
    Ok(socket)
}

fn denied(address: &str, port: u16) -> Expected {
    let address: Ipv6Addr = address.parse().unwrap();
    let object = ObjectSubject::inet(TRANSPORT_TCP, address.octets(), port);
    Expected::deny(Hook::SOCKET_LISTEN, Rights::BIND).object(&object)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn a_socket_that_was_never_bound_listens_nowhere() {
    let place = Place::on_disk("listen_unbound");
    let _server = listener(&Address::inet("127.0.0.1:7043"), libc::AF_INET, libc::SOCK_STREAM);
    Trial::new(&place, POLICY)
        .refused("IPv6", || listen(&tcp(libc::AF_INET6)?), EACCES, denied("::", 0))
        .refused(
            "one that was connected",
            || {
                let socket = tcp(libc::AF_INET)?;
                connect(&socket, &Address::inet("127.0.0.1:7043"))?;
                connect(&socket, &Address::unspecified())?;
                listen(&socket)
            },
            EACCES,
            denied("::ffff:0.0.0.0", 0),
        )
        .allowed("one that asked for any port where it may", || listen(&bound("127.0.0.1:0")?))
        .run();
}

#[test]
fn a_socket_that_somebody_else_bound_is_judged_by_its_address() {
    let place = Place::on_disk("listen_foreign");
    // Made by the test, which has no tag, and inherited.
    let at = |port: u16| {
        receiver(&Address::inet(&format!("127.0.0.1:{port}")), libc::AF_INET, libc::SOCK_STREAM)
    };
    let (good, bad) = (at(7041), at(7042));
    Trial::new(&place, POLICY)
        .refused("another", || listen(&bad), EACCES, denied("::ffff:127.0.0.1", 7042))
        .allowed("one that it might have bound itself", || listen(&good))
        .run();
}
