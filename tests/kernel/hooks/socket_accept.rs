//! Taking connections. There is no case for all situations: what is refused here is a socket that
//! came from outside, and a process can only have it from before its tag.

use std::net::Ipv6Addr;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ObjectSubject, TRANSPORT_TCP};

use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::net::{
    Address, accept, bind, connect, listen, listener, reuse, send, socket,
};
use crate::support::sys::{EACCES, Res};

const POLICY: &str = "\
network:
  - allow: [bind]
    on: ['tcp:127.0.0.1:7051']
  - allow: [connect]
    to: ['tcp:127.0.0.1:7051']";

#[test]
fn a_listening_socket_that_came_from_outside_is_judged_by_its_address() {
    let place = Place::on_disk("accept_foreign");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let addresses = ["127.0.0.1:7051", "127.0.0.1:7052"].map(Address::inet);
    // Made by the test, which has no tag, and inherited.
    let servers = addresses.each_ref().map(|at| listener(at, libc::AF_INET, libc::SOCK_STREAM));
    let take = |step: u32| accept(&servers[step as usize]).map(drop);
    let (mut inside, mut outside) = (fence.child(take), fence.child(take));
    let call = |step: u32| {
        let client = socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        connect(&client, &addresses[step as usize]).unwrap();
        client
    };
    let _clients = [call(0), call(1)];
    assert_eq!((inside.try_to(0), inside.try_to(1)), (Ok(()), Ok(())), "before it was tagged");
    inside.tag(agent.tag);
    let _clients = [call(0), call(1)];
    assert_eq!(inside.try_to(0), Ok(()), "where it might listen itself");
    fence.quiet(&agent);
    assert_eq!(inside.try_to(1), Err(EACCES));
    let address: Ipv6Addr = "::ffff:127.0.0.1".parse().unwrap();
    let object = ObjectSubject::inet(TRANSPORT_TCP, address.octets(), 7052);
    let denied = Expected::deny(Hook::SOCKET_ACCEPT, Rights::BIND).object(&object);
    fence.expect(&agent, &inside, &[denied]);
    assert_eq!(outside.try_to(1), Ok(()), "the connection is still there");
}

#[test]
fn whoever_may_listen_may_take_and_answer() {
    let place = Place::on_disk("accept_own");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut child = fence.tagged(&agent, |_| -> Res {
        let at = Address::inet("127.0.0.1:7051");
        let server = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        reuse(&server)?;
        bind(&server, &at)?;
        listen(&server)?;
        let client = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        connect(&client, &at)?;
        // Its peer has a port that no rule speaks of.
        send(&accept(&server)?, b"x")
    });
    assert_eq!(child.try_to(0), Ok(()));
    fence.quiet(&agent);
}
