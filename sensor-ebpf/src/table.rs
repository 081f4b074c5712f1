//! The policy table and the matcher over it.
//!
//! A policy is one table of 16-bit *cells*, in *blocks* of 32: with 16 bits a cell can name any block of
//! the largest table that there is, so that a state is a single cell and leads to its row without a
//! multiplication. The table holds, for each of two *spaces* of subjects (paths, and all other objects),
//! a class map and two automata that run side by side over the same bytes: the product of patterns
//! anchored at `/` with patterns that begin with `**` is what makes one automaton grow, so they are
//! kept apart and their answers united.
//!
//! ```text
//! block 0     header (the H_* offsets)
//! class map   256 cells: byte -> offset of the byte's column in a row (at least ROW_NEXT)
//! row         [answer, kind, old, new, next, next, …]: one per state; a state *is* the block of its row
//! answer      [allow, ask, deny, audit, rule of right 0, … rule of right 15]
//! relations   which states of directories offer no more than which; see `crate::within`
//! ```
//!
//! All of these begin at a block of their own. Offsets are in bytes; what takes 32 bits lies at an even
//! cell, the low half first. Every offset is masked with the table's size, so that no table, however
//! damaged, can make a read leave it: the kernel's verifier demands that, and userspace gets the same
//! code.

use crate::limits::TABLE_BYTES;
use crate::rights::{RIGHTS_MAX, Rights};
use crate::verdict::Masks;

/// What [`H_MAGIC`] holds: `PKT2`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"PKT2");

/// Bytes of a cell.
pub const CELL: u32 = 2;
/// Bytes of a block: a power of two. A table has as many blocks as a cell has values.
pub const BLOCK: u32 = 64;

const _: () = assert!(TABLE_BYTES == BLOCK as usize * (u16::MAX as usize + 1));

/// Header: [`MAGIC`], 32 bits. The four cells before it are 0: in a table with nothing but a header every
/// state is 0 and its answer is at 0, so it allows nothing.
pub const H_MAGIC: u32 = 8;
/// Header: the crate's `ABI_VERSION`, 32 bits.
pub const H_VERSION: u32 = 12;
/// Header: a number that no other table of the same kernel side has or had, 32 bits; written at
/// installing, so that what was remembered under one table is never used under another. 0 until then.
pub const H_ID: u32 = 16;
/// Header: how many blocks are in use, 32 bits.
pub const H_BLOCKS: u32 = 20;
/// Header: [`FLAG_AUDIT`] and nothing else yet.
pub const H_FLAGS: u32 = 24;
/// Header: first of the three cells of [`Space::Path`].
pub const H_PATH: u32 = 26;
/// Header: first of the three cells of [`Space::Object`].
pub const H_OBJECT: u32 = 32;
/// Header: first of the two cells of the relation between states of anchored path patterns.
pub const H_ANCHORED: u32 = 38;
/// Header: first of the two cells of the relation between states of floating path patterns.
pub const H_FLOATING: u32 = 42;
/// Header: first of the two cells of the same relation, without regard to implied mapping.
pub const H_FLOATING_LOOSE: u32 = 46;

/// Of a relation's two header cells: its block.
pub const RELATION_AT: u32 = 0;
/// Of a relation's two header cells: cells of a row of bits.
pub const RELATION_STRIDE: u32 = 2;

/// Of a space's three header cells: block of its class map.
pub const SPACE_CLASSES: u32 = 0;
/// Of a space's three header cells: start state of its anchored automaton.
pub const SPACE_ANCHORED: u32 = 2;
/// Of a space's three header cells: start state of its floating automaton.
pub const SPACE_FLOATING: u32 = 4;

/// Header flag: the whole policy reports instead of refusing.
pub const FLAG_AUDIT: u32 = 1;

/// Of a row: block of the state's answer.
pub const ROW_ANSWER: u32 = 0;
/// Of a row: the state's *kind*. Two states of one kind give the same masks to every suffix, so
/// a directory may move between them without any file below it gaining or losing a right.
pub const ROW_KIND: u32 = 2;
/// Of a row: the state as the one that a directory moves away from; see `crate::within`.
pub const ROW_OLD: u32 = 4;
/// Of a row: the state as the one that a directory moves to; see `crate::within`.
pub const ROW_NEW: u32 = 6;
/// Of a row: where the columns begin.
pub const ROW_NEXT: u32 = 8;

/// Of an answer: the four masks.
pub const ANSWER_ALLOW: u32 = 0;
/// See [`ANSWER_ALLOW`].
pub const ANSWER_ASK: u32 = 2;
/// See [`ANSWER_ALLOW`].
pub const ANSWER_DENY: u32 = 4;
/// See [`ANSWER_ALLOW`].
pub const ANSWER_AUDIT: u32 = 6;
/// Of an answer: the deciding rule's id for each right, 0 where no rule speaks of it.
pub const ANSWER_RULES: u32 = 8;
/// Bytes of an answer.
pub const ANSWER_BYTES: u32 = ANSWER_RULES + RIGHTS_MAX as u32 * CELL;

const _: () = assert!(ANSWER_BYTES <= BLOCK && RIGHTS_MAX <= 16);

/// Which class map and automata judge a subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Canonical paths: files, directories, unix sockets that have a name in a file system.
    Path,
    /// Everything else; see [`crate::subject`].
    Object,
}

impl Space {
    /// Offset of the space's first header cell.
    #[inline(always)]
    #[must_use]
    pub const fn header(self) -> u32 {
        match self {
            Space::Path => H_PATH,
            Space::Object => H_OBJECT,
        }
    }
}

/// Where a table's cells come from: a map value in the kernel, a slice in userspace.
pub trait Cells {
    /// The cell at offset `at` modulo the table's size, the lowest bit left out.
    fn cell(&self, at: u32) -> u32;

    /// The 32 bits at offset `at`, which is a multiple of four.
    #[inline(always)]
    fn long(&self, at: u32) -> u32 {
        self.cell(at) | self.cell(at.wrapping_add(CELL)) << 16
    }

    /// The same number. In the kernel the compiler no longer knows what it may be: of a sum whose parts
    /// share no bit it makes an OR, which the verifier takes for a number without bounds.
    #[inline(always)]
    fn unknown(&self, number: u32) -> u32 {
        number
    }
}

impl Cells for [u16] {
    /// A cell beyond the slice is 0, as the unused end of the kernel's table is.
    #[inline(always)]
    fn cell(&self, at: u32) -> u32 {
        let index = (at as usize & (TABLE_BYTES - 1)) / CELL as usize;
        self.get(index).copied().unwrap_or(0).into()
    }
}

/// Offset of what lies `at` bytes behind the beginning of a block.
#[inline(always)]
#[must_use]
pub const fn in_block(block: u32, at: u32) -> u32 {
    block.wrapping_mul(BLOCK).wrapping_add(at)
}

/// Where both automata stand, and the class map that drives them.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// Offset of the class map.
    pub classes: u32,
    /// State of the automaton of anchored patterns.
    pub anchored: u32,
    /// State of the automaton of floating patterns.
    pub floating: u32,
}

impl Cursor {
    /// Both automata at their start.
    #[inline(always)]
    pub fn start<W: Cells + ?Sized>(table: &W, space: Space) -> Cursor {
        let header = space.header();
        let anchored = table.cell(header + SPACE_ANCHORED);
        Cursor::resume(table, space, anchored, table.cell(header + SPACE_FLOATING))
    }

    /// The automata at states that they were found in before.
    #[inline(always)]
    pub fn resume<W: Cells + ?Sized>(
        table: &W,
        space: Space,
        anchored: u32,
        floating: u32,
    ) -> Cursor {
        let classes = table.cell(space.header() + SPACE_CLASSES);
        Cursor { classes: in_block(classes, 0), anchored, floating }
    }

    /// Takes one byte.
    #[inline(always)]
    pub fn step<W: Cells + ?Sized>(&mut self, table: &W, byte: u8) {
        let column = table.cell(self.classes.wrapping_add(u32::from(byte) * CELL));
        self.anchored = table.cell(in_block(self.anchored, column));
        self.floating = table.cell(in_block(self.floating, column));
    }

    /// The masks that the policy gives the subject read so far.
    #[inline(always)]
    pub fn masks<W: Cells + ?Sized>(&self, table: &W) -> Masks {
        let anchored = answer(table, self.anchored);
        let floating = answer(table, self.floating);
        Masks {
            allow: Rights(anchored.allow.0 | floating.allow.0),
            ask: Rights(anchored.ask.0 | floating.ask.0),
            deny: Rights(anchored.deny.0 | floating.deny.0),
            audit: Rights(anchored.audit.0 | floating.audit.0),
        }
    }

    /// Id of the rule that decides `right` here, 0 if none speaks of it. Of two rules, one per
    /// automaton, the one of the stronger mask is named: deny, then ask, then audit, then allow.
    #[inline(always)]
    pub fn rule<W: Cells + ?Sized>(&self, table: &W, right: Rights) -> u32 {
        let bit = table.unknown(right.0.trailing_zeros() & (RIGHTS_MAX as u32 - 1));
        let anchored = answer(table, self.anchored);
        let floating = answer(table, self.floating);
        let state = if strength(floating, right) > strength(anchored, right) {
            self.floating
        } else {
            self.anchored
        };
        let answer = table.cell(in_block(state, ROW_ANSWER));
        table.cell(in_block(answer, ANSWER_RULES + bit * CELL))
    }
}

/// The masks of one automaton's state.
#[inline(always)]
fn answer<W: Cells + ?Sized>(table: &W, state: u32) -> Masks {
    let answer = table.cell(in_block(state, ROW_ANSWER));
    Masks {
        allow: Rights(table.cell(in_block(answer, ANSWER_ALLOW))),
        ask: Rights(table.cell(in_block(answer, ANSWER_ASK))),
        deny: Rights(table.cell(in_block(answer, ANSWER_DENY))),
        audit: Rights(table.cell(in_block(answer, ANSWER_AUDIT))),
    }
}

/// How strongly `masks` speak of `right`: 0 not at all, 4 by a deny.
#[inline(always)]
fn strength(masks: Masks, right: Rights) -> u32 {
    if masks.deny.intersects(right) {
        4
    } else if masks.ask.intersects(right) {
        3
    } else if masks.audit.intersects(right) {
        2
    } else {
        u32::from(masks.allow.intersects(right))
    }
}

/// Runs both automata of `space` over a whole subject. The kernel drives [`Cursor::step`] by its
/// own bounded loop; this is the same for everybody else.
pub fn run<W: Cells + ?Sized>(table: &W, space: Space, subject: &[u8]) -> Cursor {
    let mut cursor = Cursor::start(table, space);
    for byte in subject {
        cursor.step(table, *byte);
    }
    cursor
}

/// Puts 32 bits at offset `at`, a multiple of four, of a table that is long enough.
pub fn put_long(table: &mut [u16], at: u32, value: u32) {
    let first = (at / CELL) as usize;
    table[first] = value as u16;
    table[first + 1] = (value >> 16) as u16;
}

/// A table with nothing but its head, which allows nothing.
#[must_use]
pub fn empty() -> [u16; (BLOCK / CELL) as usize] {
    let mut table = [0; (BLOCK / CELL) as usize];
    put_long(&mut table, H_MAGIC, MAGIC);
    put_long(&mut table, H_VERSION, crate::ABI_VERSION);
    put_long(&mut table, H_BLOCKS, 1);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_with_nothing_but_its_head_allows_nothing() {
        let table = empty();
        for subject in [&b"/"[..], b"/bin/true", b"\x02\x06", b""] {
            for space in [Space::Path, Space::Object] {
                let masks = run(&table[..], space, subject).masks(&table[..]);
                assert_eq!(masks, Masks::default(), "{}", subject.escape_ascii());
            }
        }
    }
}
