//! The hooks, one file each, named as in `include/linux/lsm_hook_defs.h` (where a hook has a second
//! program, that has a file and a name of its own).
//!
//! Every file has the same shape: the kernel's prototype, what the hook covers, the program (which
//! only calls [`super::judge::hook`]), and a function that gathers the arguments and asks for a
//! ruling. A hook that can tell from its arguments alone that nothing is at stake says so first.

mod bpf;
mod bprm_check_security;
mod capable;
mod file_fcntl;
mod file_ioctl;
mod file_ioctl_compat;
mod file_mprotect;
mod file_open;
mod file_permission;
mod file_receive;
mod file_receive_inet;
mod file_send_sigiotask;
mod file_truncate;
mod file_write_inet;
mod inode_create;
mod inode_file_setattr;
mod inode_init_security_anon;
mod inode_remove_acl;
mod inode_removexattr;
mod inode_set_acl;
mod inode_setattr;
mod inode_setxattr;
mod inode_unlink;
mod ipc_permission;
mod kernel_load_data;
mod kernel_module_request;
mod kernel_read_file;
mod key_alloc;
mod key_permission;
mod locked_down;
mod mmap_file;
mod move_mount;
mod msg_queue_alloc_security;
mod msg_queue_free_security;
mod msg_queue_msgctl;
mod path_chmod;
mod path_chown;
mod path_chroot;
mod path_link;
mod path_mkdir;
mod path_mknod;
mod path_notify;
mod path_rename;
mod path_rmdir;
mod path_symlink;
mod path_truncate;
mod path_unlink;
mod perf_event_open;
mod ptrace_access_check;
mod ptrace_traceme;
mod sb_mount;
mod sb_pivotroot;
mod sb_remount;
mod sb_umount;
mod sem_alloc_security;
mod sem_free_security;
mod sem_semctl;
mod shm_alloc_security;
mod shm_free_security;
mod shm_shmctl;
mod socket_accept;
mod socket_bind;
mod socket_connect;
mod socket_create;
mod socket_listen;
mod socket_post_create;
mod socket_sendmsg;
mod socket_sendmsg_unix;
mod socket_setsockopt;
mod syslog;
mod task_alloc;
mod task_kill;
mod task_movememory;
mod task_setioprio;
mod task_setnice;
mod task_setrlimit;
mod task_setscheduler;
mod unix_may_send;
mod unix_stream_connect;
mod uring_allowed;
mod uring_cmd;
mod uring_override_creds;
mod userns_create;

use sensor_ebpf::act::Act;
use sensor_ebpf::event::SUBJECT_PATH;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::moves::{self, Move, Weighed};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_QUEUE, ObjectSubject};
use sensor_ebpf::table::{Cursor, Space};
use sensor_ebpf::tag::Tag;
use sensor_ebpf::verdict::{Decision, Verdict};
use sensor_ebpf::xattr::{self, Class};

use super::judge::{Actor, KernelTable, Ruling, Subject, place};
use super::matcher::advance;
use super::path::MQUEUE_MAGIC;
use super::scratch::Scratch;
use super::view::Question;
use super::vmlinux::{Opaque, Place, S_IFDIR, Task, load, magic_of, offset, read_text};
use super::{scratch, tag};

/// Mount (`struct vfsmount`) of a `struct path` that a hook was given.
#[inline(always)]
fn mount_of(path: *const Opaque) -> *const Opaque {
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
    actor.judge_path(hook, right, Place { mnt: mount_of(dir), dentry })
}

/// Judges an operation that gives the object at `old` the name `new`, both on `mnt`; `sensor_ebpf::moves`
/// has the rule.
#[inline(always)]
fn judge_move(
    actor: &Actor,
    hook: Hook,
    (old, new): (*const Opaque, *const Opaque),
    mnt: *const Opaque,
    wanted: Move,
) -> Result<Ruling, Fault> {
    let table = actor.table()?;
    let scratch = actor.scratch();
    let peer = scratch::peer_of(actor.task)?;
    let from = actor.name_path(scratch, mnt as u64, old as u64)?;
    let to = actor.name_path(peer, mnt as u64, new as u64)?;
    if from.kind != SUBJECT_PATH || to.kind != SUBJECT_PATH {
        return Err(Fault::FOREIGN_MOUNT);
    }
    let start = Cursor::start(&table, Space::Path);
    scratch.cursor = advance(table, scratch, from.start, start);
    peer.cursor = advance(table, peer, to.start, start);
    let wanted = scratch.forget(packed(wanted));
    let mut answer = weigh(table, scratch, peer, wanted);
    let new_rights = unpacked(wanted).new;
    if answer & REFUSED == 0 && gains(table, scratch, peer, wanted) {
        answer = answered(moves::widening(new_rights, table.audits()));
    }
    let verdict = match answer >> 48 & 3 {
        0 => Verdict::Allow,
        1 => Verdict::Audit,
        2 => Verdict::Ask,
        _ => Verdict::Deny,
    };
    Ok(Ruling {
        requested: if answer & OF_NEW != 0 { new_rights } else { unpacked(wanted).old },
        decision: Decision { verdict, because: Rights((answer >> 32) as u32 & 0xffff) },
        rule: answer as u32,
        errno: hook.errno(),
        cause: if answer & WIDENS != 0 { Fault::WIDENS } else { Fault::NONE },
        silent: false,
        subject: from,
        peer: to,
    })
}

/// A [`Move`] as one number: two times 16 bits of rights, and flags above.
#[inline(always)]
fn packed(wanted: Move) -> u64 {
    let mut number = u64::from(wanted.old.0) << 32 | u64::from(wanted.new.0);
    for (set, flag) in [
        (wanted.old_is_directory, OLD_IS_DIRECTORY),
        (wanted.new_is_directory, NEW_IS_DIRECTORY),
        (wanted.exchange, EXCHANGE),
    ] {
        if set {
            number |= flag;
        }
    }
    number
}

/// See [`packed`].
#[inline(always)]
fn unpacked(number: u64) -> Move {
    Move {
        old: Rights((number >> 32) as u32 & 0xffff),
        new: Rights(number as u32 & 0xffff),
        old_is_directory: number & OLD_IS_DIRECTORY != 0,
        new_is_directory: number & NEW_IS_DIRECTORY != 0,
        exchange: number & EXCHANGE != 0,
    }
}

/// Of a packed [`Move`].
const OLD_IS_DIRECTORY: u64 = 1 << 63;
/// See [`OLD_IS_DIRECTORY`].
const NEW_IS_DIRECTORY: u64 = 1 << 62;
/// See [`OLD_IS_DIRECTORY`].
const EXCHANGE: u64 = 1 << 61;

/// What was [`Weighed`] as one number: rule (32 bits), rights (16), verdict (2), and flags above.
#[inline(always)]
fn answered(weighed: Weighed) -> u64 {
    (if weighed.of_new { OF_NEW } else { 0 })
        | (if weighed.widens { WIDENS } else { 0 })
        | (weighed.decision.verdict as u64) << 48
        | u64::from(weighed.decision.because.0 & 0xffff) << 32
        | u64::from(weighed.rule)
}

/// Of a packed answer.
const OF_NEW: u64 = 1 << 50;
/// See [`OF_NEW`].
const WIDENS: u64 = 1 << 51;
/// The bit of the verdict that only the two that refuse have.
const REFUSED: u64 = 2 << 48;
const _: () = assert!(Verdict::Ask as u64 == 2 && Verdict::Deny as u64 == 3);

/// Judges both names, of which the two scratches hold the cursors, each for itself. A function of its
/// own that takes and gives plain numbers, because everything that it holds at once would not fit on
/// a hook's stack beside what the hook holds.
#[inline(never)]
fn weigh(table: KernelTable, scratch: &Scratch, peer: &Scratch, wanted: u64) -> u64 {
    let Move { old, new, .. } = unpacked(wanted);
    answered(moves::names(&table, scratch.cursor, peer.cursor, old, new, table.audits()))
}

/// Whether what moves from one name to the other, or is exchanged, would gain a way to its content.
#[inline(never)]
fn gains(table: KernelTable, scratch: &Scratch, peer: &Scratch, wanted: u64) -> bool {
    moves::gains(unpacked(wanted), |directory, back| {
        let (from, to) = if back { (peer, scratch) } else { (scratch, peer) };
        contained(table, from, to, u64::from(directory)) != 0
    })
}

/// Whether a directory or file gains nothing by the name in `to`. By itself for the stack's sake, as
/// [`weigh`] is.
#[inline(never)]
fn contained(table: KernelTable, from: &Scratch, to: &Scratch, directory: u64) -> u64 {
    u64::from(moves::within(&table, directory != 0, from.cursor, to.cursor))
}

/// Judges one right on the file at a `struct path`.
#[inline(always)]
fn judge_at(
    actor: &Actor,
    hook: Hook,
    right: Rights,
    path: *const Opaque,
) -> Result<Ruling, Fault> {
    // SAFETY: a hook's `const struct path *` argument, and one of its pointer fields.
    let dentry = unsafe { load(path, offset!(path_dentry)) };
    actor.judge_path(hook, right, Place { mnt: mount_of(path), dentry })
}

/// Whether a file of this mode lends an identity to whoever runs it. On a directory the set-group bit
/// only says which group new files get.
///
/// No policy can allow to make one: whoever runs it later has no tag, so it would carry the agent's
/// code out of the fence, under the agent's own user or, if the agent is root, under any.
#[inline(always)]
fn lends_identity(file_type: u16, mode: u16) -> bool {
    const S_ISUID_OR_S_ISGID: u16 = 0o6000;
    file_type != S_IFDIR && mode & S_ISUID_OR_S_ISGID != 0
}

/// The ruling on what would make a set-id program at `place`, given what the rules say of it.
#[inline(always)]
fn refuse_set_id(
    actor: &Actor,
    hook: Hook,
    right: Rights,
    place: Place,
    ruling: Ruling,
) -> Result<Ruling, Fault> {
    if ruling.decision.verdict >= Verdict::Ask {
        return Ok(ruling);
    }
    let scratch = actor.scratch();
    let subject = actor.name_path(scratch, place.mnt as u64, place.dentry as u64)?;
    if subject.kind == Subject::LAYER {
        return Ok(Ruling::ALLOW);
    }
    let refused = Ruling::refuse(hook, right, subject).refused(actor.table()?);
    Ok(Ruling { cause: Fault::SET_ID, ..refused })
}

/// Judges changing the extended attribute with the name at address `name`.
#[inline(always)]
fn judge_xattr(actor: &Actor, hook: Hook, dentry: u64, name: u64) -> Result<Ruling, Fault> {
    let class = actor.scratch().forget(u64::from(class_of(name))) as u32;
    let right = if class == ORDINARY { Rights::ATTR } else { Rights::KERNEL };
    let question = Question { dentry, right, instead: Rights::NONE };
    let ruling = actor.judge_dentry(hook, question)?;
    let set_id = class == CAPABILITY && ruling.decision.verdict != Verdict::Allow;
    Ok(Ruling { cause: if set_id { Fault::SET_ID } else { Fault::NONE }, ..ruling })
}

/// [`Class::Ordinary`] as [`class_of`] gives it.
const ORDINARY: u32 = 1;
/// [`Class::Capability`], likewise.
const CAPABILITY: u32 = 2;

/// Class of the attribute with the name at address `name`; one that cannot be read is the kernel's. A
/// function of its own, for the stack's sake.
#[inline(never)]
fn class_of(name: u64) -> u32 {
    match read_text(name).map(xattr::class) {
        Ok(Class::Ordinary) => ORDINARY,
        Ok(Class::Capability) => CAPABILITY,
        Ok(Class::Kernel) | Err(_) => 0,
    }
}

/// Judges making or removing a POSIX message queue. They are made by a call of their own that passes by
/// no hook with a path, on a mount that nobody sees, and are shared with whoever knows the name: no
/// policy can give them.
#[inline(always)]
fn judge_queue(actor: &Actor, hook: Hook, right: Rights, dentry: u64) -> Result<Ruling, Fault> {
    if magic_of(dentry)? != MQUEUE_MAGIC {
        return Ok(Ruling::ALLOW);
    }
    actor.judge_object(hook, right, &ObjectSubject::anon(ANON_QUEUE))
}

/// Refuses what no agent may do, whatever its policy; reported only, where the whole policy is.
#[inline(always)]
fn refuse(actor: &Actor, hook: Hook, right: Rights) -> Result<Ruling, Fault> {
    Ok(Ruling::refuse(hook, right, Subject::NONE).refused(actor.table()?))
}

/// Judges acting on another process: an agent may act on its own freely, on one that nobody has tagged
/// as its policy says, and on one of another agent, or of Picket itself, not at all.
#[inline(always)]
fn judge_process(actor: &Actor, hook: Hook, act: Act, target: Task) -> Result<Ruling, Fault> {
    let subject = ObjectSubject::process(act, target.tgid());
    // A process that was tagged by its pid may have threads that were not.
    let tag = match tag::of(target)? {
        None => tag::of(target.leader())?,
        tag => tag,
    };
    match tag {
        Some(tag) if tag == actor.tag => Ok(Ruling::ALLOW),
        // Also where the policy only reports: who watches is not for the watched to touch.
        Some(Tag::SENTRY) => {
            let subject = place(actor.scratch(), &subject)?;
            Ok(Ruling::refuse(hook, Rights::PROCESS, subject))
        }
        Some(_) => {
            let table = actor.table()?;
            let subject = place(actor.scratch(), &subject)?;
            Ok(Ruling::refuse(hook, Rights::PROCESS, subject).refused(table))
        }
        None => actor.judge_object(hook, Rights::PROCESS, &subject),
    }
}

/// Refuses whatever has to do with keys, done for itself: under other credentials the kernel looks up
/// its own (a name server's answer, a server's identity).
#[inline(always)]
fn judge_key(actor: &Actor, hook: Hook) -> Result<Ruling, Fault> {
    if actor.task.on_errand() {
        return Ok(Ruling::ALLOW);
    }
    refuse(actor, hook, Rights::KERNEL)
}
