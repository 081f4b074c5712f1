//! System V objects (shared memory, message queues, semaphores): an agent may use what its own tree
//! made, and nothing else, for whoever is at the other end acts on what it finds there.
//!
//! The kernel gives such objects no storage for programs, so their makers are remembered by address.
//! An address is used again when its object is gone. That it then says nothing of the next object is
//! seen to where that one is made, by whoever makes it: in a process's own context nothing can be in
//! the way of taking the entry out. Where objects are freed it is taken out as well, but only to make
//! room: there it may fail (`kernel/bpf/hashtab.c:htab_lock_bucket`), and nothing depends on it.

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use super::judge::{Actor, Ruling, place};
use super::maps::IPC_MAKERS;
use super::vmlinux::{Opaque, load, offset};

/// Remembers the object at `ipc` as the actor's. No room for it is a fault.
#[inline(always)]
pub fn record(actor: &Actor, ipc: u64) -> Result<(), Fault> {
    IPC_MAKERS.insert(ipc, actor.tag, 0).map_err(|_| Fault::NO_TAG)
}

/// Forgets what was at `ipc`.
#[inline(always)]
pub fn forget(ipc: u64) {
    // It fails where nothing was.
    let _ = IPC_MAKERS.remove(ipc);
}

/// Judges using the object, a `struct kern_ipc_perm`.
#[inline(always)]
pub fn judge(actor: &Actor, hook: Hook, ipc: *const Opaque) -> Result<Ruling, Fault> {
    // SAFETY: entries are never changed; one that is taken out meanwhile was this object's, which is
    // in use.
    if unsafe { IPC_MAKERS.get(ipc as u64) }.is_some_and(|made| *made == actor.tag) {
        return Ok(Ruling::ALLOW);
    }
    let table = actor.table()?;
    // SAFETY: a hook's `struct kern_ipc_perm *` argument, and two of its 32-bit fields.
    let (id, key): (u32, u32) =
        unsafe { (load(ipc, offset!(ipc_id)), load(ipc, offset!(ipc_key))) };
    let subject = place(actor.scratch(), &ObjectSubject::ipc(id, key))?;
    Ok(Ruling::refuse(hook, Rights::PROCESS, subject).refused(table))
}
