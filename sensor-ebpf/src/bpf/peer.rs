//! What sockets reach: the rulings that several socket hooks share. A peer or local address of TCP,
//! UDP and ICMP echo is judged by rules over addresses. No rule can name an address of any other
//! socket: whoever may make one may use it, and one that came from outside is judged as if it were
//! made here.

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ObjectSubject, destination, translated};
use sensor_ebpf::verdict::Verdict;

use super::judge::{Actor, Ruling};
use super::maker;
use super::object::{Address, Socket};

/// Judges reaching `to`, and where a gateway on the way would go to.
#[inline(always)]
pub fn judge_peer(
    actor: &Actor,
    hook: Hook,
    right: Rights,
    socket: Socket,
    to: &Address,
) -> Result<Ruling, Fault> {
    let address = destination(to.address);
    let mut subject = ObjectSubject::new();
    subject.set_inet(socket.transport, &address, to.port);
    let ruling = actor.judge_object(hook, right, &subject)?;
    match translated(address) {
        Some(inner) if ruling.decision.verdict < Verdict::Ask => {
            subject.set_inet(socket.transport, &inner, to.port);
            let behind = actor.judge_object(hook, right, &subject)?;
            Ok(if behind.decision.verdict > ruling.decision.verdict { behind } else { ruling })
        }
        _ => Ok(ruling),
    }
}

/// Judges taking the local address `at`.
#[inline(always)]
pub fn judge_local(
    actor: &Actor,
    hook: Hook,
    socket: Socket,
    at: &Address,
) -> Result<Ruling, Fault> {
    let mut subject = ObjectSubject::new();
    subject.set_inet(socket.transport, &at.address, at.port);
    actor.judge_object(hook, Rights::BIND, &subject)
}

/// Judges using a socket whose addresses no rule can name.
#[inline(always)]
pub fn judge_kind(actor: &Actor, hook: Hook, socket: Socket) -> Result<Ruling, Fault> {
    if maker::is_own(actor, socket.sk) {
        return Ok(Ruling::ALLOW);
    }
    let subject = ObjectSubject::family(socket.family, socket.kind as u8, socket.protocol);
    actor.judge_object(hook, Rights::SOCKET, &subject)
}
