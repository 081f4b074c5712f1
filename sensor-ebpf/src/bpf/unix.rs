//! Unix sockets, by where whoever is at the other end was bound: a path that may have been renamed since,
//! an abstract name, or nothing. What the caller wrote is no identity.

use aya_ebpf::helpers::generated::bpf_skc_to_unix_sock;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_SOCKET, ObjectSubject};

use super::judge::{Actor, Ruling, Subject, place, rule, run};
use super::maker;
use super::object::abstract_name;
use super::vmlinux::{Opaque, load, offset, read};

/// Judges one right on the socket at `sk`. One that the agent itself made reaches nobody else; one without a
/// name can only be reached by whoever was handed a descriptor.
#[inline(always)]
pub fn judge(actor: &Actor, hook: Hook, right: Rights, sk: *const Opaque) -> Result<Ruling, Fault> {
    if maker::is_own(actor, sk) {
        return Ok(Ruling::ALLOW);
    }
    let sk = sk as u64;
    let path = sk + offset!(unix_path);
    let dentry: u64 = read(path + offset!(path_dentry))?;
    let address: u64 = read(sk + offset!(unix_addr))?;
    let table = actor.table()?;
    let scratch = actor.scratch();
    let subject = if dentry != 0 {
        actor.name_path(scratch, read(path + offset!(path_mnt))?, dentry)?
    } else if address != 0 {
        let mut name = ObjectSubject::new();
        let len = read(address + offset!(unix_addr_len))?;
        abstract_name(&mut name, address + offset!(unix_addr_name), len)?;
        place(scratch, &name)?
    } else {
        return Ok(Ruling::ALLOW);
    };
    if subject.kind == Subject::LAYER {
        return Err(Fault::FOREIGN_MOUNT);
    }
    Ok(rule(hook, table, right, &run(table, scratch, subject)))
}

/// `SOCK_DGRAM` (`include/linux/net.h`).
const SOCK_DGRAM: u16 = 2;
/// `TCP_CLOSE` (`include/net/tcp_states.h`), which unix sockets use too.
const CLOSED: u8 = 7;
/// `TCP_LISTEN`, likewise.
const LISTENING: u8 = 10;

/// Judges the connection of a unix socket that the agent did not make, by who is at the other end, as if
/// the agent connected it now: there nobody can put somebody else. One that is neither connected nor
/// waiting for connections is refused, for whoever has it as well could connect it next. Datagrams are
/// judged one by one (`unix_may_send`).
#[inline(always)]
pub fn judge_connection(actor: &Actor, hook: Hook, sk: *const Opaque) -> Result<Ruling, Fault> {
    // SAFETY: a `struct sock` that the verifier knows, and two of its fields.
    let (kind, state): (u16, u8) =
        unsafe { (load(sk, offset!(sock_type)), load(sk, offset!(sock_state))) };
    if kind == SOCK_DGRAM || state == LISTENING || maker::is_own(actor, sk) {
        return Ok(Ruling::ALLOW);
    }
    // SAFETY: a `struct sock` that the verifier knows.
    let unix: *const Opaque = unsafe { bpf_skc_to_unix_sock(sk.cast_mut().cast()) }.cast();
    if unix.is_null() {
        return Err(Fault::UNREADABLE);
    }
    // SAFETY: a `struct unix_sock` that the verifier knows, and one of its pointer fields.
    let peer: *const Opaque = unsafe { load(unix, offset!(unix_peer)) };
    if peer.is_null() {
        let subject = place(actor.scratch(), &ObjectSubject::anon(ANON_SOCKET))?;
        return Ok(Ruling::refuse(hook, Rights::CONNECT, subject).refused(actor.table()?));
    }
    // SAFETY: a `struct sock` that the verifier knows, and one of its fields.
    if unsafe { load::<u8>(peer, offset!(sock_state)) } == CLOSED {
        // Gone for good, and with it its name: whatever is sent there is refused by the kernel.
        return Ok(Ruling::ALLOW);
    }
    judge(actor, hook, Rights::CONNECT, peer)
}
