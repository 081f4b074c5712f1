//! The hooks, one file each, named as in `include/linux/lsm_hook_defs.h`.
//!
//! Every file has the same shape: the kernel's prototype, what the hook covers, the program (which
//! only calls [`super::judge::hook`]), and a function that gathers the arguments and asks for a
//! ruling. A hook that can tell from its arguments alone that nothing is at stake says so first.

mod bpf;
mod bprm_check_security;
mod file_mprotect;
mod file_open;
mod mmap_file;
mod path_link;
mod path_mkdir;
mod path_mknod;
mod path_rename;
mod path_rmdir;
mod path_symlink;
mod path_truncate;
mod path_unlink;
mod ptrace_access_check;
mod socket_bind;
mod socket_connect;
mod socket_create;
mod socket_sendmsg;
mod task_alloc;
mod task_kill;
mod unix_may_send;
mod unix_stream_connect;

use sensor_ebpf::event::SUBJECT_PATH;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;
use sensor_ebpf::verdict::Verdict;

use super::judge::{Actor, Found, KernelTable, Ruling, Subject, place, rule, run};
use super::vmlinux::{Opaque, S_IFDIR, Task, file_type, load, offset, read};
use super::{object, scratch, tag};

/// Mount (`struct vfsmount`) of a `struct path` that a hook was given.
#[inline(always)]
fn mount_of(path: *const Opaque) -> u64 {
    // SAFETY: a hook's `const struct path *` argument, and one of its pointer fields.
    unsafe { load(path, offset!(path_mnt)) }
}

/// Judges one right on a name in a directory: the shape of `mkdir`, `unlink` and the like.
#[inline(always)]
fn judge_entry(
    actor: &Actor,
    hook: Hook,
    right: Rights,
    dir: *const Opaque,
    dentry: *const Opaque,
) -> Result<Ruling, Fault> {
    actor.judge_path(hook, right, mount_of(dir), dentry as u64)
}

/// Judges an operation that gives the object at `old` the name `new`, both on `mnt`: `old_right`
/// on the old name, `new_rights` on the new one, and that the object gains nothing by it.
///
/// Why: a fence by names is worth nothing if an object can be given a name that allows more. A
/// file may only move to where every way to its content was open already ([`Masks::within`]). A
/// directory takes all that is below it along, so both names must have the same kind: then every
/// suffix has the same masks under both ([`Cursor::kinds`]).
///
/// [`Masks::within`]: sensor_ebpf::verdict::Masks::within
/// [`Cursor::kinds`]: sensor_ebpf::table::Cursor::kinds
#[inline(always)]
fn judge_move(
    actor: &Actor,
    hook: Hook,
    (old, old_right): (u64, Rights),
    (new, new_rights): (u64, Rights),
    mnt: u64,
    both_ways: bool,
) -> Result<Ruling, Fault> {
    let table = actor.table()?;
    let scratch = scratch::of(actor.task)?;
    let peer = scratch::peer_of(actor.task)?;
    let from = actor.name_path(scratch, mnt, old)?;
    let to = actor.name_path(peer, mnt, new)?;
    if from.kind != SUBJECT_PATH || to.kind != SUBJECT_PATH {
        return Err(Fault::FOREIGN_MOUNT);
    }
    let (from, to) = (run(table, scratch, from), run(table, peer, to));
    let peer = to.subject;
    let first = rule(hook, table, old_right, &from);
    if first.decision.verdict >= Verdict::Ask {
        return Ok(Ruling { peer, ..first });
    }
    let second = Ruling { subject: from.subject, peer, ..rule(hook, table, new_rights, &to) };
    if second.decision.verdict >= Verdict::Ask {
        return Ok(second);
    }
    if !contained(table, old, &from, &to)? || (both_ways && !contained(table, new, &to, &from)?) {
        return Ok(Ruling { cause: Fault::WIDENS, ..second }.refused(table));
    }
    let reported = if first.decision.verdict >= second.decision.verdict { first } else { second };
    Ok(Ruling { peer, ..reported })
}

/// Whether the object at dentry `object` gains nothing when it goes from `from` to `to`.
#[inline(always)]
fn contained(table: KernelTable, object: u64, from: &Found, to: &Found) -> Result<bool, Fault> {
    if file_type(object)? == S_IFDIR {
        Ok(from.cursor.kinds(&table) == to.cursor.kinds(&table))
    } else {
        Ok(to.masks.within(from.masks))
    }
}

/// Judges acting on another process: an agent may act on its own, and on no other.
#[inline(always)]
fn judge_process(actor: &Actor, hook: Hook, target: Task) -> Result<Ruling, Fault> {
    if tag::of(target)? == Some(actor.tag) {
        return Ok(Ruling::ALLOW);
    }
    let table = actor.table()?;
    let subject = place(scratch::of(actor.task)?, &ObjectSubject::process(target.tgid()))?;
    Ok(Ruling::refuse(hook, Rights::PROCESS, subject).refused(table))
}

/// Judges one right on the unix socket at `sk`, by where it was bound. One without a name can only
/// be reached by whoever was handed a descriptor.
#[inline(always)]
fn judge_unix(actor: &Actor, hook: Hook, right: Rights, sk: u64) -> Result<Ruling, Fault> {
    let path = sk + offset!(unix_path);
    let dentry: u64 = read(path + offset!(path_dentry))?;
    let address: u64 = read(sk + offset!(unix_addr))?;
    let table = actor.table()?;
    let scratch = scratch::of(actor.task)?;
    let subject = if dentry != 0 {
        actor.name_path(scratch, read(path + offset!(path_mnt))?, dentry)?
    } else if address != 0 {
        let mut name = ObjectSubject::new();
        let len = read(address + offset!(unix_addr_len))?;
        object::abstract_name(&mut name, address + offset!(unix_addr_name), len)?;
        place(scratch, &name)?
    } else {
        return Ok(Ruling::ALLOW);
    };
    if subject.kind == Subject::LAYER {
        return Err(Fault::FOREIGN_MOUNT);
    }
    Ok(rule(hook, table, right, &run(table, scratch, subject)))
}
