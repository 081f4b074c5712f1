//! The matcher as the programs run it: [`Cursor::step`] over a subject in a scratch's room, in chunks.
//! What a step is and what a table means is `sensor_ebpf::table`'s business; how the steps are laid out
//! for the verifier and for speed is this file's.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use sensor_ebpf::limits::SUBJECT_ROOM;
use sensor_ebpf::table::Cursor;

use super::judge::KernelTable;
use super::scratch::{ROOM_SLACK, Scratch};
use super::vmlinux::in_room;

/// Bytes that one turn of the matching loop takes: a power of two. One would spend most of the time on
/// the call; the whole subject in one turn would make the verifier walk 4095 steps in every program.
const CHUNK: u32 = 16;

/// What the callback of the matching loop needs. On the stack, because the helper demands it. What
/// changes from turn to turn is in the scratch, where the verifier does not follow it.
struct Match {
    table: KernelTable,
    scratch: *mut Scratch,
}

/// Takes what is in the room from `start` on.
#[inline(always)]
pub fn advance(table: KernelTable, scratch: &mut Scratch, start: u32, cursor: Cursor) -> Cursor {
    advance_to(table, scratch, start, SUBJECT_ROOM as u32, cursor)
}

/// Takes what is in the room from `start` up to `end`.
#[inline(always)]
pub fn advance_to(
    table: KernelTable,
    scratch: &mut Scratch,
    start: u32,
    end: u32,
    cursor: Cursor,
) -> Cursor {
    let scratch: *mut Scratch = scratch;
    store(scratch, cursor);
    drive(table, scratch, u64::from(start) << 32 | u64::from(end));
    fetch(scratch)
}

/// Drives the automata at `Scratch::cursor` over `range` (start and end, 32 bits each) of the room. A
/// function of its own, for the stack's sake; see `path::walk`.
#[inline(never)]
fn drive(table: KernelTable, scratch: *mut Scratch, range: u64) -> u32 {
    let (start, end) = ((range >> 32) as u32, range as u32);
    if start >= end {
        return 0;
    }
    let len = end - start;
    // What does not fill a chunk comes first, and is all that most names have. What follows fills
    // its chunks, so nothing has to be compared in them.
    let odd = len & (CHUNK - 1);
    few(table, scratch, start, odd);
    if len >= CHUNK {
        // SAFETY: `scratch` is the task's own. The callback has the signature that the helper demands, and
        // its context outlives it.
        unsafe {
            (&raw mut (*scratch).at).write_volatile(start.wrapping_add(odd));
            let mut context = Match { table, scratch };
            bpf_loop(len / CHUNK, turn as *mut c_void, (&raw mut context).cast(), 0);
        }
    }
    0
}

/// Takes the next [`CHUNK`] bytes.
unsafe extern "C" fn turn(_index: u64, context: *const Match) -> i64 {
    // SAFETY: the helper passes on the pointer that `drive` gave it, to what `drive` filled in.
    let (table, scratch) = unsafe { ((*context).table, (*context).scratch) };
    // SAFETY: a field of the task's own scratch.
    let at = unsafe {
        let at = (&raw const (*scratch).at).read_volatile();
        (&raw mut (*scratch).at).write_volatile(at.wrapping_add(CHUNK));
        at
    };
    few(table, scratch, at, CHUNK);
    0
}

/// Nothing that reads memory is moved across it. Left alone, LLVM reads all bytes of a chunk before it
/// takes the first, and has no registers to put them in.
#[inline(always)]
fn in_order() {
    // SAFETY: no instruction at all.
    unsafe { core::arch::asm!("", options(nostack, preserves_flags)) };
}

/// Takes `count` bytes of the room from `start` on, at most [`CHUNK`]. Without a loop: where `count` is
/// known nothing is compared, and the verifier walks each step once.
#[inline(always)]
fn few(table: KernelTable, scratch: *mut Scratch, start: u32, count: u32) {
    let mut cursor = fetch(scratch);
    // SAFETY: the mask keeps the index inside the room, which is a field of the task's own scratch.
    let bytes = unsafe { (&raw const (*scratch).room).cast::<u8>().add(in_room(u64::from(start))) };
    macro_rules! steps {
        ($($number:literal)*) => {'steps: {$(
            if count == $number {
                break 'steps;
            }
            in_order();
            // SAFETY: behind the room the scratch has more bytes than a chunk, see `Scratch::room`.
            cursor.step(&table, unsafe { bytes.add($number).read() });
        )*}};
    }
    const { assert!(CHUNK == 16 && CHUNK as usize <= ROOM_SLACK) };
    steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    store(scratch, cursor);
}

/// Leaves a cursor in the scratch. There the verifier forgets what it knows of the states, and sees that
/// a match of five bytes leads to where one of six does.
#[inline(always)]
fn store(scratch: *mut Scratch, cursor: Cursor) {
    // SAFETY: fields of the task's own scratch.
    unsafe {
        let to = &raw mut (*scratch).cursor;
        (&raw mut (*to).classes).write_volatile(cursor.classes);
        (&raw mut (*to).anchored).write_volatile(cursor.anchored);
        (&raw mut (*to).floating).write_volatile(cursor.floating);
    }
}

/// The cursor that was left in the scratch.
#[inline(always)]
fn fetch(scratch: *mut Scratch) -> Cursor {
    // SAFETY: as in `store`.
    unsafe {
        let from = &raw const (*scratch).cursor;
        Cursor {
            classes: (&raw const (*from).classes).read_volatile(),
            anchored: (&raw const (*from).anchored).read_volatile(),
            floating: (&raw const (*from).floating).read_volatile(),
        }
    }
}
