//! Events. Nothing here can change a verdict: a full ring loses the event and counts the loss.

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid,
    bpf_get_current_uid_gid, bpf_ktime_get_boot_ns, bpf_probe_read_kernel, bpf_ringbuf_reserve,
    bpf_ringbuf_submit,
};
use sensor_ebpf::event::{EventHeader, LongRecord, Record, SUBJECT_NONE, ShortRecord};
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::limits::{EVENT_LONG, EVENT_SHORT, SUBJECT_MAX, SUBJECT_ROOM};
use sensor_ebpf::tag::Agent;

use super::judge::{Actor, Ruling, Subject};
use super::maps::EVENTS;
use super::scratch;
use super::vmlinux::{in_room, masked};

/// Sends the event of one ruling.
#[inline(always)]
pub fn event(hook: Hook, actor: &Actor, ruling: &Ruling, fault: Fault, errno: i32) {
    let seq = take(actor.agent, core::mem::offset_of!(Agent, next_seq));
    let lens = (len(ruling.subject), len(ruling.peer));
    let sent = if lens.0 + lens.1 < EVENT_SHORT as u32 / 2 {
        send::<EVENT_SHORT>(hook, actor, ruling, fault, errno, seq)
    } else {
        send::<EVENT_LONG>(hook, actor, ruling, fault, errno, seq)
    };
    if !sent {
        take(actor.agent, core::mem::offset_of!(Agent, lost));
    }
}

// Both records are reserved by their whole size.
const _: () = assert!(size_of::<ShortRecord>() < size_of::<LongRecord>());

/// Bytes of a subject.
#[inline(always)]
fn len(subject: Subject) -> u32 {
    if subject.kind == SUBJECT_NONE { 0 } else { SUBJECT_ROOM as u32 - subject.start }
}

/// Adds one to a counter of the agent, and returns what it was. By hand, because Rust's BPF target
/// has no atomic read-modify-write although every supported kernel does (`BPF_FETCH`, 5.12).
#[inline(always)]
fn take(agent: *mut Agent, at: usize) -> u64 {
    let mut value = 1_u64;
    // SAFETY: `at` is the offset of one of the agent's two aligned 64-bit counters, which are only
    // ever changed atomically.
    unsafe {
        core::arch::asm!(
            "{value} = atomic_fetch_add((u64 *)({counter} + 0), {value})",
            value = inout(reg) value,
            counter = in(reg) agent.cast::<u8>().add(at),
        );
    }
    value
}

/// Sends a record with room for `N` bytes of subjects; false if the ring has none.
#[inline(always)]
fn send<const N: usize>(
    hook: Hook,
    actor: &Actor,
    ruling: &Ruling,
    fault: Fault,
    errno: i32,
    seq: u64,
) -> bool {
    // SAFETY: null or a whole record that is ours until it is submitted, which happens on every
    // path below.
    unsafe {
        let record: *mut Record<N> =
            bpf_ringbuf_reserve(ring(), size_of::<Record<N>>() as u64, 0).cast();
        if record.is_null() {
            return false;
        }
        fill(&raw mut (*record).header, hook, actor, ruling, fault, errno, seq);
        let data = (&raw mut (*record).data).cast::<u8>();
        let subject = copy::<N>(data, 0, actor, ruling.subject, false);
        let peer = copy::<N>(data, subject, actor, ruling.peer, true);
        (*record).header.subject_len = subject;
        (*record).header.peer_len = peer;
        bpf_ringbuf_submit(record.cast(), 0);
    }
    true
}

/// Address of the ring, as the helpers want it.
#[inline(always)]
fn ring() -> *mut core::ffi::c_void {
    core::ptr::from_ref(&EVENTS).cast_mut().cast()
}

/// Copies a subject to `data[at..]`; the bytes copied, 0 if it cannot be.
#[inline(always)]
unsafe fn copy<const N: usize>(
    data: *mut u8,
    at: u32,
    actor: &Actor,
    subject: Subject,
    peer: bool,
) -> u32 {
    let len = len(subject);
    if len == 0 || len > SUBJECT_MAX as u32 || at > SUBJECT_MAX as u32 {
        return 0;
    }
    let scratch = if peer { scratch::peer_of(actor.task) } else { Ok(actor.scratch()) };
    let Ok(scratch) = scratch else { return 0 };
    // Half the record's room for each: the choice of the record has seen to it that both fit.
    let half = |value: u32| {
        if N == EVENT_SHORT {
            masked::<{ EVENT_SHORT as u64 / 2 - 1 }>(u64::from(value)) as u32
        } else {
            masked::<{ EVENT_LONG as u64 / 2 - 1 }>(u64::from(value)) as u32
        }
    };
    let (len, at) = (half(len), half(at));
    // SAFETY: the subject lies in its room; `at + len` was held below the record's room above.
    unsafe {
        let from = scratch.room.as_ptr().add(in_room(u64::from(subject.start)));
        bpf_probe_read_kernel(data.add(at as usize).cast(), len, from.cast());
    }
    len
}

/// Fills in the fixed part, field by field: a whole structure would pass over the program's small
/// stack first.
#[inline(always)]
unsafe fn fill(
    header: *mut EventHeader,
    hook: Hook,
    actor: &Actor,
    ruling: &Ruling,
    fault: Fault,
    errno: i32,
    seq: u64,
) {
    // SAFETY: the caller's header is writable; the helpers only read the current task.
    unsafe {
        let pid_tgid = bpf_get_current_pid_tgid();
        (*header).time = bpf_ktime_get_boot_ns();
        (*header).seq = seq;
        (*header).lost = (*actor.agent).lost;
        (*header).cgroup = bpf_get_current_cgroup_id();
        (*header).start = actor.task.process_start();
        (*header).agent = actor.tag.agent;
        (*header).epoch = actor.tag.epoch;
        (*header).hook = hook.0;
        (*header).verdict = ruling.decision.verdict as u32;
        (*header).requested = ruling.requested.0;
        (*header).because = ruling.decision.because.0;
        (*header).rule = ruling.rule;
        (*header).fault = fault.0;
        (*header).errno = errno as u32;
        (*header).pid = (pid_tgid >> 32) as u32;
        (*header).tid = pid_tgid as u32;
        (*header).ppid = actor.task.parent_tgid();
        let uid_gid = bpf_get_current_uid_gid();
        (*header).uid = uid_gid as u32;
        (*header).gid = (uid_gid >> 32) as u32;
        (*header).table = actor.judged_by.get();
        (*header).subject_kind = ruling.subject.kind;
        bpf_get_current_comm((&raw mut (*header).comm).cast(), 16);
    }
}
