//! The mark of a socket's maker. The hook refuses nothing by a policy: here is what only works because
//! of the mark. What is refused without one is tried in the hooks that look at it.

use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::Res;
use crate::support::sys::net::{Address, bind, connect, listen, listener, send, socket};

const POLICY: &str = "\
network:
  - allow: [connect]
    to: ['tcp:127.0.0.1:7061']
  - allow: [bind]
    on: ['tcp:127.0.0.1:0']";

#[test]
fn a_socket_is_its_makers_for_life() {
    let place = Place::on_disk("own_sockets");
    let server = Address::inet("127.0.0.1:7061");
    let _server = listener(&server, libc::AF_INET, libc::SOCK_STREAM);
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut child = fence.tagged(&agent, |_| -> Res {
        let client = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        connect(&client, &server)?;
        send(&client, b"x")?;
        // By now it has a port that no rule speaks of.
        let any = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        bind(&any, &Address::inet("127.0.0.1:0"))?;
        listen(&any)
    });
    assert_eq!(child.try_to(0), Ok(()));
    fence.quiet(&agent);
}
