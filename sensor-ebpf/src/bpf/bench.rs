//! The matcher in a classifier program, so that any machine that runs BPF at all can time it natively, by
//! `BPF_PROG_TEST_RUN`. Only with the feature `match-bench`, which no build for use has.

use aya_ebpf::btf_maps::Array;
use aya_ebpf::helpers::generated::bpf_skb_load_bytes;
use aya_ebpf::macros::{btf_map, classifier};
use aya_ebpf::programs::TcContext;
use sensor_ebpf::limits::SUBJECT_ROOM;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::{Cursor, Space};
use sensor_ebpf::verdict::{Verdict, decide};

use super::judge::KernelTable;
use super::maps::Table;
use super::matcher::advance;
use super::scratch::Scratch;
use super::vmlinux::{in_room, masked};

/// A policy table, as in `POLICIES`. Written by userspace.
#[btf_map]
pub static BENCH_TABLE: Array<Table, 1> = Array::new();

/// A scratch with a subject in it. Written by userspace.
#[btf_map]
pub static BENCH_SCRATCH: Array<Scratch, 1> = Array::new();

/// Puts the packet where subjects stand: userspace has no other way to fill a scratch.
#[classifier]
pub fn place_subject(ctx: TcContext) -> i32 {
    let Some(scratch) = BENCH_SCRATCH.get_ptr_mut(0) else { return -1 };
    let len = masked::<1023>(u64::from(ctx.len()));
    if len == 0 {
        // Never so, but the verifier does not know it.
        return -1;
    }
    let len = len as u32;
    let start = SUBJECT_ROOM as u32 - len;
    // SAFETY: as below; `start` lies at most 1023 bytes before SUBJECT_ROOM, and so many are written.
    unsafe {
        (&raw mut (*scratch).start).write(u64::from(start));
        let to = (&raw mut (*scratch).room).cast::<u8>().add(in_room(u64::from(start)));
        bpf_skb_load_bytes(ctx.skb.skb.cast(), 0, to.cast(), len) as i32
    }
}

/// Judges reading the path in the scratch: 0 if that is allowed, else 1.
#[classifier]
pub fn match_subject(_ctx: TcContext) -> i32 {
    judged().unwrap_or(-1)
}

#[inline(always)]
fn judged() -> Option<i32> {
    let table = KernelTable::at(BENCH_TABLE.get_ptr_mut(0)?);
    // SAFETY: a whole scratch in an array map of one; nothing else runs on it.
    let scratch = unsafe { &mut *BENCH_SCRATCH.get_ptr_mut(0)? };
    let start = scratch.start as u32;
    let cursor = advance(table, scratch, start, Cursor::start(&table, Space::Path));
    let verdict = decide(cursor.masks(&table), Rights::READ, table.audits()).verdict;
    Some(i32::from(verdict != Verdict::Allow))
}
