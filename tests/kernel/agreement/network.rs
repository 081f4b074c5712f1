//! Peers and local addresses of IPv4 and IPv6 sockets. Nobody listens and little has a route, so what is
//! let through fails in many ways; only a refusal is one.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ObjectSubject, TRANSPORT_TCP, TRANSPORT_UDP, destination, mapped};
use sensor_ebpf::table::Space;

use super::dice::Dice;
use super::{Amount, Asked, Operation, compare};
use crate::support::place::Place;
use crate::support::sys::net::{Address, bind, connect, send_message, send_to, socket};
use crate::support::sys::{EACCES, Res};

const PEERS: [&str; 14] = [
    "127.0.0.1",
    "127.0.0.2",
    "0.0.0.0",
    "10.0.0.1",
    "10.1.2.3",
    "192.0.2.7",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::ffff:0.0.0.0",
    "2001:db8::1",
    "2001:db8:8000::1",
    "fe80::1",
];

const PORTS: [u16; 9] = [1, 79, 80, 81, 443, 8000, 8001, 32768, 65535];

/// Ports that anybody may bind: the kernel itself refuses others, with the errno of a hook.
const OWN_PORTS: [u16; 5] = [1024, 8000, 8001, 32768, 65535];

#[derive(Clone, Copy, Debug)]
enum Way {
    Connect,
    /// `sendto`.
    Send,
    /// `sendmsg`.
    Message,
    Bind,
}

fn operation(dice: &mut Dice) -> Operation {
    let (way, kind) = dice.of(&[
        (Way::Connect, libc::SOCK_STREAM),
        (Way::Connect, libc::SOCK_DGRAM),
        (Way::Send, libc::SOCK_DGRAM),
        (Way::Message, libc::SOCK_DGRAM),
        (Way::Bind, libc::SOCK_STREAM),
        (Way::Bind, libc::SOCK_DGRAM),
    ]);
    let ip: IpAddr = dice.of(&PEERS).parse().unwrap();
    let ports = if matches!(way, Way::Bind) { &OWN_PORTS[..] } else { &PORTS[..] };
    let peer = SocketAddr::new(ip, dice.of(ports));
    let (family, bytes) = match ip {
        IpAddr::V4(v4) => (libc::AF_INET, mapped(v4.octets())),
        IpAddr::V6(v6) => (libc::AF_INET6, v6.octets()),
    };
    let transport = if kind == libc::SOCK_STREAM { TRANSPORT_TCP } else { TRANSPORT_UDP };
    let (hook, right, bytes) = match way {
        Way::Connect => (Hook::SOCKET_CONNECT, Rights::CONNECT, destination(bytes)),
        Way::Send | Way::Message => (Hook::SOCKET_SENDMSG, Rights::SEND, destination(bytes)),
        Way::Bind => (Hook::SOCKET_BIND, Rights::BIND, bytes),
    };
    let subject = ObjectSubject::inet(transport, bytes, peer.port());
    let asked = Asked::one(hook, Space::Object, subject.as_bytes().to_vec(), right);
    let address = Address::inet(&peer.to_string());
    let run = move || {
        // Without waiting: what leads nowhere must not hold the test up.
        let socket = socket(family, kind | libc::SOCK_NONBLOCK, 0)?;
        passed(match way {
            Way::Connect => connect(&socket, &address),
            Way::Send => send_to(&socket, b"x", 0, &address),
            Way::Message => send_message(&socket, b"x", &address),
            Way::Bind => bind(&socket, &address),
        })
    };
    Operation {
        what: format!("{way:?} {peer}, type {kind}"),
        prepare: Box::new(|| Box::new(()) as Box<dyn Any>),
        run: Box::new(run),
        asked: vec![asked],
    }
}

/// Anything but a refusal is past the hook.
fn passed(result: Res) -> Res {
    match result {
        Err(errno) if errno == EACCES => Err(errno),
        _ => Ok(()),
    }
}

fn policy(dice: &mut Dice) -> String {
    const HOSTS: [&str; 12] = [
        "*",
        "127.0.0.0/8",
        "127.0.0.1",
        "10.0.0.0/8",
        "10.1.2.0/23",
        "0.0.0.0/0",
        "[::1]",
        "[::]/0",
        "[2001:db8::]/33",
        "[::ffff:0:0]/96",
        "[fe80::]/10",
        "192.0.2.7",
    ];
    let mut seen: Vec<String> = Vec::new();
    let mut rules = String::from("network:\n");
    for _ in 0..3 + dice.below(6) {
        let kind = dice.of(&["allow", "allow", "allow", "deny", "audit"]);
        let transport = dice.of(&["", "", "tcp:", "udp:"]);
        let ports = dice.of(&["", ":80", ":443", ":80-8000", ":1-65535", ":32768-65535"]);
        let peer = format!("{transport}{}{ports}", dice.of(&HOSTS));
        if seen.contains(&peer) {
            continue;
        }
        let (rights, key) = if dice.below(3) == 0 {
            ("bind".to_owned(), "on")
        } else {
            (dice.some(&["connect", "send"]).join(", "), "to")
        };
        rules += &format!("  - {kind}: [{rights}]\n    {key}: ['{peer}']\n");
        seen.push(peer);
    }
    rules
}

#[test]
fn kernel_and_library_judge_addresses_alike() {
    let place = Place::on_disk("agreement_network");
    compare(&place, Amount { policies: 10, operations: 120 }, policy, operation);
}
