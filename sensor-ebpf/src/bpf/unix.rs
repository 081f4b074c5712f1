//! Unix sockets, by where whoever is at the other end was bound: a path that may have been renamed since,
//! an abstract name, or nothing. What the caller wrote is no identity.

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use super::judge::{Actor, Ruling, Subject, place, rule, run};
use super::maker;
use super::object::abstract_name;
use super::vmlinux::{Opaque, offset, read};

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
