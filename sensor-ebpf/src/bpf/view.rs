//! Files of which a hook says only the dentry, and not the mount that they are seen through: those of
//! attributes. Nothing that runs before these hooks in their system calls has the mount either.
//!
//! Such a file is judged under every name that it has in the task's mount namespace, one for each
//! mount of its file system that shows it, and the strictest verdict counts: whichever of the names
//! the task used, that one was among them. Nearly always there is one.
//!
//! What the kernel does for itself on a layer below (overlayfs on the files of its upper layer) is not
//! judged again; see `Task::acts_for_kernel`.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use sensor_ebpf::event::SUBJECT_PATH;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::limits::MOUNTS_MAX;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;
use sensor_ebpf::table::{Cursor, Space};
use sensor_ebpf::verdict::{Decision, Verdict, decide};

use super::judge::{Actor, KernelTable, Ruling, Subject};
use super::matcher::advance;
use super::path;
use super::scratch::Scratch;
use super::vmlinux::{offset, read};

/// What is asked of a dentry.
#[derive(Clone, Copy)]
pub struct Question {
    /// Address of the dentry.
    pub dentry: u64,
    /// The right that it takes.
    pub right: Rights,
    /// Another right that will do instead; none if there is none.
    pub instead: Rights,
}

impl Question {
    /// Whether an attribute of the file may be changed.
    #[inline(always)]
    pub fn attr(dentry: u64) -> Question {
        Question { dentry, right: Rights::ATTR, instead: Rights::NONE }
    }
}

/// Tries before mounts that keep changing are a fault.
const TRIES: u32 = 1;

/// One round over the names, in the scratch: on the stack, which is small, the verifier would also follow
/// what changes from turn to turn.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Views {
    dentry: u64,
    /// The task's mount namespace.
    namespace: u64,
    /// The two rights of the question, 32 bits each.
    rights: u64,
    /// Where the list of the file system's mounts stands.
    node: u64,
    /// Where it ends.
    end: u64,
    /// Names that the file has.
    seen: u64,
    /// The strictest answer: verdict (from bit 48), rights that brought it about (from bit 32), rule.
    answer: u64,
    /// The mount through which the file has the name that the answer is about.
    mnt: u64,
    /// Why the round ended too early, 0 if it did not.
    fault: u64,
}

/// What the callback of the loop over the mounts needs.
struct Round {
    scratch: *mut Scratch,
    table: KernelTable,
}

impl Actor {
    /// Judges a question about a dentry.
    #[inline(always)]
    pub fn judge_dentry(&self, hook: Hook, question: Question) -> Result<Ruling, Fault> {
        if self.task.acts_for_kernel() {
            return Ok(Ruling::ALLOW);
        }
        let table = self.table()?;
        let scratch = self.scratch();
        let Question { dentry, right, instead } = question;
        scratch.views.dentry = dentry;
        scratch.views.namespace = self.task.mount_namespace();
        scratch.views.rights = u64::from(right.0) << 32 | u64::from(instead.0);
        let fault = rounds(table, scratch);
        if fault != 0 {
            return Err(Fault(fault & (Fault::MAX - 1)));
        }
        let (seen, answer, mnt) = (scratch.views.seen, scratch.views.answer, scratch.views.mnt);
        if seen == 0 {
            // In no mount of the namespace: an object of the kernel's own, or one of another
            // namespace.
            return self.judge_unmounted(hook, right, dentry);
        }
        let verdict = match answer >> 48 & 3 {
            0 => return Ok(Ruling::ALLOW),
            1 => Verdict::Audit,
            2 => Verdict::Ask,
            _ => Verdict::Deny,
        };
        // A later name may have been written over the one that the answer is about.
        let subject = match path::walk(scratch, mnt, dentry) {
            path::FOUND => Subject { start: scratch.start as u32, kind: SUBJECT_PATH },
            fault => return Err(Fault(fault & (Fault::MAX - 1))),
        };
        Ok(Ruling {
            requested: right,
            decision: Decision { verdict, because: Rights((answer >> 32) as u32 & 0xffff) },
            rule: answer as u32,
            errno: hook.errno(),
            cause: Fault::NONE,
            silent: false,
            subject,
            peer: Subject::NONE,
        })
    }

    /// Judges a file that no mount of the task's namespace shows.
    #[inline(always)]
    fn judge_unmounted(&self, hook: Hook, right: Rights, dentry: u64) -> Result<Ruling, Fault> {
        let what = path::internal(dentry)?;
        if what.kind != path::Kind::ANON {
            return Err(Fault::FOREIGN_MOUNT);
        }
        self.judge_object(hook, right, &ObjectSubject::anon(what.start as u8))
    }
}

/// Goes over the mounts until none changed meanwhile, and leaves what it found in the scratch. The
/// fault, 0 if there was none. A function of its own, for the stack's sake.
#[inline(never)]
fn rounds(table: KernelTable, scratch: &mut Scratch) -> u32 {
    let mut tries = 0;
    while tries < TRIES {
        match round(table, scratch) {
            Ok(true) => return scratch.views.fault as u32,
            Ok(false) => tries += 1,
            Err(Fault(fault)) => return fault,
        }
    }
    Fault::UNSTABLE_PATH.0
}

/// Goes over the mounts once; whether none changed meanwhile.
#[inline(always)]
fn round(table: KernelTable, scratch: &mut Scratch) -> Result<bool, Fault> {
    let before = path::mounts()?;
    let sb: u64 = read(scratch.views.dentry + offset!(dentry_sb))?;
    let end = sb + offset!(sb_mounts);
    scratch.views.end = end;
    scratch.views.node = read(end)?;
    scratch.views.seen = 0;
    scratch.views.answer = 0;
    scratch.views.fault = u64::from(Fault::UNSTABLE_PATH.0);
    let mut round = Round { scratch: &raw mut *scratch, table };
    // SAFETY: the callback has the signature that the helper demands, and `round` outlives it.
    unsafe {
        bpf_loop(MOUNTS_MAX, turn as *mut c_void, (&raw mut round).cast(), 0);
    }
    Ok(before & 1 == 0 && path::mounts()? == before)
}

/// Looks at the next mount. Returns 1 to end the loop.
unsafe extern "C" fn turn(_: u64, round: *const Round) -> i64 {
    // SAFETY: the helper passes on the pointer that `round` gave it, and the scratch in it is that of
    // the task that is being judged.
    let (table, scratch) = unsafe { ((*round).table, &mut *(*round).scratch) };
    if scratch.views.node == 0 || scratch.views.node == scratch.views.end {
        scratch.views.fault = 0;
        return 1;
    }
    match look(table, scratch) {
        Ok(()) => 0,
        Err(Fault(fault)) => {
            scratch.views.fault = u64::from(fault);
            1
        }
    }
}

/// Judges the file as this mount shows it, if it does, and goes on to the next.
#[inline(always)]
fn look(table: KernelTable, scratch: &mut Scratch) -> Result<(), Fault> {
    let node = scratch.views.node;
    let mount = node.wrapping_sub(offset!(mount_of_sb));
    scratch.views.node = read(node.wrapping_add(offset!(mount_of_sb_next)))?;
    if read::<u64>(mount + offset!(mount_ns))? != scratch.views.namespace {
        return Ok(());
    }
    let mnt = mount + offset!(mount_vfsmount);
    let dentry = scratch.views.dentry;
    match path::walk(scratch, mnt, dentry) {
        path::FOUND => {}
        // This mount shows another part of the file system.
        fault if fault == Fault::FOREIGN_MOUNT.0 => return Ok(()),
        fault => return Err(Fault(fault)),
    }
    scratch.views.seen += 1;
    let start = Cursor::start(&table, Space::Path);
    advance(table, scratch, scratch.start as u32, start);
    let answer = weigh(table, scratch);
    if answer >> 48 > scratch.views.answer >> 48 {
        scratch.views.answer = answer;
        scratch.views.mnt = mnt;
    }
    Ok(())
}

/// What the policy says where the scratch's cursor stands, as `Views` keeps it. A function of its own that
/// gives a plain number, so that the verifier need not follow how it came about.
#[inline(never)]
fn weigh(table: KernelTable, scratch: &mut Scratch) -> u64 {
    let rights = scratch.views.rights;
    let (right, instead) = (Rights((rights >> 32) as u32), Rights(rights as u32));
    let cursor = scratch.cursor;
    let masks = cursor.masks(&table);
    if !instead.is_empty() && decide(masks, instead, false).verdict == Verdict::Allow {
        return 0;
    }
    let decision = decide(masks, right, table.audits());
    let because = u64::from(decision.because.0 & 0xffff) << 32;
    scratch.forget(
        (decision.verdict as u64) << 48
            | because
            | u64::from(cursor.rule(&table, decision.because)),
    )
}
