//! From a hook's arguments to its return value, in one place: who acts, what the policy says, and
//! the only way out, which decides the errno, counts faults and sends the event.

use core::cell::Cell;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use sensor_ebpf::event::{SUBJECT_NONE, SUBJECT_OBJECT, SUBJECT_PATH};
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::limits::{SUBJECT_ROOM, TABLE_BYTES};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;
use sensor_ebpf::table::{self, Cells, Cursor, Space};
use sensor_ebpf::tag::{Agent, Tag};
use sensor_ebpf::verdict::{Decision, Masks, Verdict, decide};

use super::directory::Moment;
use super::maps::{FAULTS, POLICIES, Table};
use super::matcher::{advance, advance_to};
use super::path;
use super::scratch::Scratch;
use super::vmlinux::{self, Place, Task, in_room, masked, negative};
use super::{directory, emit, tag};

/// A policy table in the kernel.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct KernelTable(*const u8);

impl Cells for KernelTable {
    #[inline(always)]
    fn cell(&self, at: u32) -> u32 {
        const MASK: u32 = TABLE_BYTES as u32 - 2;
        // SAFETY: the pointer is to a whole table, and the mask keeps both bytes inside and aligned.
        u32::from(unsafe { self.0.add((at & MASK) as usize).cast::<u16>().read() })
    }

    #[inline(always)]
    fn long(&self, at: u32) -> u32 {
        const MASK: u32 = TABLE_BYTES as u32 - 4;
        // SAFETY: as in `cell`, of four bytes.
        unsafe { self.0.add((at & MASK) as usize).cast::<u32>().read() }
    }

    #[inline(always)]
    fn unknown(&self, number: u32) -> u32 {
        let mut number = u64::from(number);
        // SAFETY: no instruction at all.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) number, options(nomem, nostack, preserves_flags));
        }
        number as u32
    }
}

impl KernelTable {
    /// The table in a map's value.
    #[inline(always)]
    pub fn at(table: *const Table) -> KernelTable {
        KernelTable(table.cast())
    }

    /// Whether the whole policy only reports.
    #[inline(always)]
    pub fn audits(self) -> bool {
        self.cell(table::H_FLAGS) & table::FLAG_AUDIT != 0
    }
}

/// A tagged task in the middle of an operation.
pub struct Actor {
    /// The task.
    pub task: Task,
    /// Its tag.
    pub tag: Tag,
    /// Its agent's slot; only the counters are written.
    pub agent: *mut Agent,
    scratch: *mut Scratch,
    /// Id of the table that it was last judged by, 0 if none was: userspace may put another into
    /// the slot at any moment, and rules have numbers only within one.
    pub judged_by: Cell<u32>,
}

/// A subject in a task's scratch.
#[derive(Clone, Copy)]
pub struct Subject {
    /// Its bytes are `room[start..SUBJECT_ROOM]`.
    pub start: u32,
    /// One of `event::SUBJECT_*`.
    pub kind: u32,
}

impl Subject {
    /// No subject.
    pub const NONE: Subject = Subject { start: SUBJECT_ROOM as u32, kind: SUBJECT_NONE };

    /// Kind of a file that was judged already, one level up; see [`path::Kind::LAYER`]. Never part
    /// of an event.
    pub const LAYER: u32 = u32::MAX;

    #[inline(always)]
    fn space(self) -> Space {
        if self.kind == SUBJECT_PATH { Space::Path } else { Space::Object }
    }
}

/// What a hook has found out about its operation.
#[derive(Clone, Copy)]
pub struct Ruling {
    /// The rights asked for.
    pub requested: Rights,
    /// What the policy says.
    pub decision: Decision,
    /// The rule that says it.
    pub rule: u32,
    /// The errno of a refusal.
    pub errno: i32,
    /// Why it is refused where no rule says so: [`Fault::WIDENS`], else [`Fault::NONE`].
    pub cause: Fault,
    /// Not to be reported: the kernel only probes, and may go on all the same.
    pub silent: bool,
    /// The object.
    pub subject: Subject,
    /// Its other name, in the peer scratch.
    pub peer: Subject,
}

impl Ruling {
    /// An operation that is nobody's business.
    pub const ALLOW: Ruling = Ruling {
        requested: Rights::NONE,
        decision: Decision { verdict: Verdict::Allow, because: Rights::NONE },
        rule: 0,
        errno: 0,
        cause: Fault::NONE,
        silent: false,
        subject: Subject::NONE,
        peer: Subject::NONE,
    };

    /// A refusal that no rule can lift.
    #[inline(always)]
    pub fn refuse(hook: Hook, requested: Rights, subject: Subject) -> Ruling {
        Ruling {
            requested,
            decision: Decision { verdict: Verdict::Deny, because: requested },
            rule: 0,
            errno: hook.errno(),
            cause: Fault::NONE,
            silent: false,
            subject,
            peer: Subject::NONE,
        }
    }
}

impl Ruling {
    /// The same without an event.
    #[inline(always)]
    pub fn silent(self) -> Ruling {
        Ruling { silent: true, ..self }
    }

    /// This operation refused as a whole: reported only, where the whole policy is.
    #[inline(always)]
    pub fn refused(self, table: KernelTable) -> Ruling {
        let verdict = if table.audits() { Verdict::Audit } else { Verdict::Deny };
        Ruling { decision: Decision { verdict, because: self.requested }, rule: 0, ..self }
    }
}

/// What the policy gives one subject.
#[derive(Clone, Copy)]
pub struct Found {
    /// The subject.
    pub subject: Subject,
    /// Where the automata stand after it.
    pub cursor: Cursor,
    /// Its masks.
    pub masks: Masks,
}

/// The body of every hook: leaves at once for an untagged task, else runs `body` and turns what it
/// says into the hook's return value.
#[inline(always)]
pub fn hook(hook: Hook, body: impl FnOnce(&Actor) -> Result<Ruling, Fault>) -> i32 {
    let task = vmlinux::current();
    // A thread that has nothing may be of a process that was tagged while it ran; see `tag`.
    if task.storage() == 0 && task.leader().storage() == 0 {
        return 0;
    }
    let actor = match tag::enter(task) {
        Ok(None) => return 0,
        Ok(Some(entered)) => Actor {
            task,
            tag: entered.tag,
            agent: entered.agent,
            scratch: entered.scratch,
            judged_by: Cell::new(0),
        },
        // Whether the task is tagged may be just what could not be found out. Only a task that has
        // storage of some BPF program gets here; see `tag::of`.
        Err(fault) => {
            count(hook, fault);
            return -hook.errno();
        }
    };
    let result = body(&actor);
    finish(hook, &actor, result)
}

/// The one way out for a tagged task.
#[inline(always)]
fn finish(hook: Hook, actor: &Actor, result: Result<Ruling, Fault>) -> i32 {
    #[cfg(feature = "kernel-trace")]
    if let Ok(ruling) = &result {
        let verdict = ruling.decision.verdict as u32;
        super::trace::judged(hook.0, ruling.requested.0, verdict, ruling.errno as u32);
    }
    let (ruling, fault) = match result {
        Ok(ruling) if ruling.decision.verdict == Verdict::Allow => return 0,
        Ok(ruling) => (ruling, ruling.cause),
        Err(fault) => {
            count(hook, fault);
            (Ruling::refuse(hook, Rights::NONE, Subject::NONE), fault)
        }
    };
    // Nothing can be held yet, so an ask is a refusal.
    let refused = ruling.decision.verdict >= Verdict::Ask;
    let errno = match (refused, ruling.errno) {
        (false, _) => 0,
        (true, 0) => hook.errno(),
        (true, errno) => errno,
    };
    if !ruling.silent {
        emit::event(hook, actor, &ruling, fault, errno);
    }
    negative(errno)
}

/// Counts a fault.
#[inline(always)]
pub fn count(hook: Hook, fault: Fault) {
    if let Some(counter) = FAULTS.get_ptr_mut(hook.0 * Fault::MAX + fault.0) {
        // SAFETY: this CPU's own counter; programs that pre-empt each other may lose a count,
        // never a verdict.
        unsafe { *counter += 1 };
    }
}

impl Actor {
    /// The task's room to build subjects in. To be taken for as long as it is worked with, and not
    /// longer: there is one.
    #[inline(always)]
    pub fn scratch(&self) -> &'static mut Scratch {
        // SAFETY: a whole value that belongs to the running task alone, which is in this one program
        // until the hook returns; by the contract above no two references are used in turns.
        unsafe { &mut *self.scratch }
    }

    /// The policy's table.
    #[inline(always)]
    pub fn table(&self) -> Result<KernelTable, Fault> {
        // SAFETY: a whole agent; see `tag::enter`.
        let slot = unsafe { (*self.agent).policy };
        let table: *const Table = POLICIES.get_value_ptr_mut(slot, &0).ok_or(Fault::NO_POLICY)?;
        let table = KernelTable::at(table);
        let sound = table.long(table::H_MAGIC) == table::MAGIC
            && table.long(table::H_VERSION) == sensor_ebpf::ABI_VERSION;
        if !sound {
            return Err(Fault::NO_POLICY);
        }
        self.judged_by.set(table.long(table::H_ID));
        Ok(table)
    }

    /// Names the file at `dentry` on `mnt`.
    #[inline(always)]
    pub fn name_path(
        &self,
        scratch: &mut Scratch,
        mnt: u64,
        dentry: u64,
    ) -> Result<Subject, Fault> {
        let named = path::name(self.task, scratch, mnt, dentry)?;
        if named.kind == path::Kind::ANON {
            return place(scratch, &ObjectSubject::anon(named.start as u8));
        }
        let kind = if named.kind == path::Kind::PATH { SUBJECT_PATH } else { Subject::LAYER };
        Ok(Subject { start: named.start, kind })
    }

    /// Judges `requested` on a file.
    #[inline(always)]
    pub fn judge_path(&self, hook: Hook, requested: Rights, place: Place) -> Result<Ruling, Fault> {
        let table = self.table()?;
        let scratch = self.scratch();
        let before = Moment::now(self.task)?;
        if let Some(cursor) = directory::recall(table, scratch, place, before)? {
            let masks = advance(table, scratch, scratch.start as u32, cursor).masks(&table);
            if decide(masks, requested, false).verdict == Verdict::Allow {
                return Ok(Ruling::ALLOW);
            }
        }
        let subject = self.name_path(scratch, place.mnt as u64, place.dentry as u64)?;
        if subject.kind != SUBJECT_PATH {
            if subject.kind == Subject::LAYER {
                return Ok(Ruling::ALLOW);
            }
            return Ok(rule(hook, table, requested, &run(table, scratch, subject)));
        }
        let found = run_path(table, scratch, place, subject, before)?;
        Ok(rule(hook, table, requested, &found))
    }

    /// Judges `requested` on an object that has no path.
    #[inline(always)]
    pub fn judge_object(
        &self,
        hook: Hook,
        requested: Rights,
        object: &ObjectSubject,
    ) -> Result<Ruling, Fault> {
        let table = self.table()?;
        let scratch = self.scratch();
        let subject = place(scratch, object)?;
        Ok(rule(hook, table, requested, &run(table, scratch, subject)))
    }
}

/// Runs the automata over a path that was just walked, and remembers its directory. `before` is the
/// moment before the walk.
#[inline(always)]
fn run_path(
    table: KernelTable,
    scratch: &mut Scratch,
    place: Place,
    subject: Subject,
    before: Moment,
) -> Result<Found, Fault> {
    let split = scratch.split as u32;
    let start = Cursor::start(&table, Space::Path);
    let cursor = advance_to(table, scratch, subject.start, split, start);
    directory::remember(table, scratch, place, cursor, before)?;
    let cursor = advance(table, scratch, split, cursor);
    Ok(Found { subject, cursor, masks: cursor.masks(&table) })
}

/// Puts an object's bytes where subjects stand.
#[inline(always)]
pub fn place(scratch: &mut Scratch, object: &ObjectSubject) -> Result<Subject, Fault> {
    let len = masked::<127>(u64::from(object.len)) as u32;
    let start = SUBJECT_ROOM as u32 - len;
    // SAFETY: `start` lies at most 127 bytes before SUBJECT_ROOM, and so many are written.
    let code = unsafe {
        let to = scratch.room.as_mut_ptr().add(in_room(u64::from(start)));
        bpf_probe_read_kernel(to.cast(), len, object.bytes.as_ptr().cast())
    };
    if code == 0 { Ok(Subject { start, kind: SUBJECT_OBJECT }) } else { Err(Fault::UNREADABLE) }
}

/// The ruling on `requested`, given what the policy says of the subject.
#[inline(always)]
pub fn rule(hook: Hook, table: KernelTable, requested: Rights, found: &Found) -> Ruling {
    let decision = decide(found.masks, requested, table.audits());
    let rule = match decision.verdict {
        Verdict::Allow => 0,
        _ => found.cursor.rule(&table, decision.because),
    };
    Ruling {
        requested,
        decision,
        rule,
        errno: hook.errno(),
        cause: Fault::NONE,
        silent: false,
        subject: found.subject,
        peer: Subject::NONE,
    }
}

/// Runs the automata over a subject.
#[inline(always)]
pub fn run(table: KernelTable, scratch: &mut Scratch, subject: Subject) -> Found {
    let cursor = Cursor::start(&table, subject.space());
    let cursor = advance(table, scratch, subject.start, cursor);
    Found { subject, cursor, masks: cursor.masks(&table) }
}
