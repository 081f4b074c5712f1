//! The policy table and the matcher over it.
//!
//! A policy is one table of 32-bit words. It holds, for each of two *spaces* of subjects (paths,
//! and all other objects), a class map and two automata that run side by side over the same bytes:
//! the product of patterns anchored at `/` with patterns that begin with `**` is what makes one
//! automaton grow, so they are kept apart and their answers united.
//!
//! ```text
//! word 0..24     header (the H_* indices)
//! class map      256 words: byte -> offset of the byte's column in a row (at least ROW_NEXT)
//! row            [answer, kind, moves, next, next, …]: one per state; a state *is* the index of its row
//! answer         [allow, ask, deny, audit, rule of right 0, … rule of right 15]
//! relations      which states of directories offer no more than which; see `crate::within`
//! ```
//!
//! Every index is masked with the table's size, so that no table, however damaged, can make a read
//! leave it: the kernel's verifier demands that, and userspace gets the same code.

use crate::limits::TABLE_WORDS;
use crate::rights::{RIGHTS_MAX, Rights};
use crate::verdict::Masks;

/// What [`H_MAGIC`] holds: `PKT1`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"PKT1");

/// Header: [`MAGIC`]. The four words before it are 0: in a table with nothing but a header every
/// state is 0 and its answer is at 0, so it allows nothing.
pub const H_MAGIC: u32 = 4;
/// Header: the crate's `ABI_VERSION`.
pub const H_VERSION: u32 = 5;
/// Header: how many words are in use.
pub const H_WORDS: u32 = 6;
/// Header: [`FLAG_AUDIT`] and nothing else yet.
pub const H_FLAGS: u32 = 7;
/// Header: first of the three words of [`Space::Path`].
pub const H_PATH: u32 = 8;
/// Header: first of the three words of [`Space::Object`].
pub const H_OBJECT: u32 = 12;
/// Header: a number that no other table of the same kernel side has or had; written at installing,
/// so that what was remembered under one table is never used under another. 0 until then.
pub const H_ID: u32 = 16;
/// Header: first of the two words of the relation between states of anchored path patterns.
pub const H_ANCHORED: u32 = 18;
/// Header: first of the two words of the relation between states of floating path patterns.
pub const H_FLOATING: u32 = 20;
/// Header: first of the two words of the same relation, without regard to implied mapping.
pub const H_FLOATING_LOOSE: u32 = 22;
/// Words in the header.
pub const HEADER_WORDS: u32 = 24;

/// Of a relation's two header words: where it is.
pub const RELATION_AT: u32 = 0;
/// Of a relation's two header words: words of a row of bits.
pub const RELATION_STRIDE: u32 = 1;

/// Of a space's three header words: index of its class map.
pub const SPACE_CLASSES: u32 = 0;
/// Of a space's three header words: start state of its anchored automaton.
pub const SPACE_ANCHORED: u32 = 1;
/// Of a space's three header words: start state of its floating automaton.
pub const SPACE_FLOATING: u32 = 2;

/// Header flag: the whole policy reports instead of refusing.
pub const FLAG_AUDIT: u32 = 1;

/// Of a row: index of the state's answer.
pub const ROW_ANSWER: u32 = 0;
/// Of a row: the state's *kind*. Two states of one kind give the same masks to every suffix, so
/// a directory may move between them without any file below it gaining or losing a right.
pub const ROW_KIND: u32 = 1;
/// Of a row: the state as the one that a directory moves away from (low half), and as the one that it
/// moves to (high half); see `crate::within`.
pub const ROW_MOVES: u32 = 2;
/// Of a row: where the columns begin.
pub const ROW_NEXT: u32 = 3;

/// Of an answer: the four masks.
pub const ANSWER_ALLOW: u32 = 0;
/// See [`ANSWER_ALLOW`].
pub const ANSWER_ASK: u32 = 1;
/// See [`ANSWER_ALLOW`].
pub const ANSWER_DENY: u32 = 2;
/// See [`ANSWER_ALLOW`].
pub const ANSWER_AUDIT: u32 = 3;
/// Of an answer: the deciding rule's id for each right, 0 where no rule speaks of it.
pub const ANSWER_RULES: u32 = 4;
/// Words in an answer.
pub const ANSWER_WORDS: u32 = ANSWER_RULES + RIGHTS_MAX as u32;

/// Which class map and automata judge a subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Canonical paths: files, directories, unix sockets that have a name in a file system.
    Path,
    /// Everything else; see [`crate::subject`].
    Object,
}

impl Space {
    /// Index of the space's first header word.
    #[inline(always)]
    #[must_use]
    pub const fn header(self) -> u32 {
        match self {
            Space::Path => H_PATH,
            Space::Object => H_OBJECT,
        }
    }
}

/// Where table words come from: a map value in the kernel, a slice in userspace.
pub trait Words {
    /// The word at `index` modulo the table's size.
    fn word(&self, index: u32) -> u32;
}

impl Words for [u32] {
    /// A word beyond the slice is 0, as the unused end of the kernel's table is.
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        self.get(index as usize & (TABLE_WORDS - 1)).copied().unwrap_or(0)
    }
}

/// Where both automata stand, and the class map that drives them.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// Index of the class map.
    pub classes: u32,
    /// State of the automaton of anchored patterns.
    pub anchored: u32,
    /// State of the automaton of floating patterns.
    pub floating: u32,
}

impl Cursor {
    /// Both automata at their start.
    #[inline(always)]
    pub fn start<W: Words + ?Sized>(table: &W, space: Space) -> Cursor {
        let header = space.header();
        Cursor {
            classes: table.word(header + SPACE_CLASSES),
            anchored: table.word(header + SPACE_ANCHORED),
            floating: table.word(header + SPACE_FLOATING),
        }
    }

    /// Takes one byte.
    #[inline(always)]
    pub fn step<W: Words + ?Sized>(&mut self, table: &W, byte: u8) {
        let column = table.word(self.classes.wrapping_add(u32::from(byte)));
        self.anchored = table.word(self.anchored.wrapping_add(column));
        self.floating = table.word(self.floating.wrapping_add(column));
    }

    /// The masks that the policy gives the subject read so far.
    #[inline(always)]
    pub fn masks<W: Words + ?Sized>(&self, table: &W) -> Masks {
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
    pub fn rule<W: Words + ?Sized>(&self, table: &W, right: Rights) -> u32 {
        let bit = right.0.trailing_zeros() & (RIGHTS_MAX as u32 - 1);
        let anchored = answer(table, self.anchored);
        let floating = answer(table, self.floating);
        let state = if strength(floating, right) > strength(anchored, right) {
            self.floating
        } else {
            self.anchored
        };
        table.word(table.word(state).wrapping_add(ANSWER_RULES + bit))
    }
}

/// The masks of one automaton's state.
#[inline(always)]
fn answer<W: Words + ?Sized>(table: &W, state: u32) -> Masks {
    let at = table.word(state.wrapping_add(ROW_ANSWER));
    Masks {
        allow: Rights(table.word(at.wrapping_add(ANSWER_ALLOW))),
        ask: Rights(table.word(at.wrapping_add(ANSWER_ASK))),
        deny: Rights(table.word(at.wrapping_add(ANSWER_DENY))),
        audit: Rights(table.word(at.wrapping_add(ANSWER_AUDIT))),
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
pub fn run<W: Words + ?Sized>(table: &W, space: Space, subject: &[u8]) -> Cursor {
    let mut cursor = Cursor::start(table, space);
    for byte in subject {
        cursor.step(table, *byte);
    }
    cursor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_with_nothing_but_its_head_allows_nothing() {
        let mut table = [0; HEADER_WORDS as usize];
        table[H_MAGIC as usize] = MAGIC;
        table[H_VERSION as usize] = crate::ABI_VERSION;
        for subject in [&b"/"[..], b"/bin/true", b"\x02\x06", b""] {
            for space in [Space::Path, Space::Object] {
                let masks = run(&table[..], space, subject).masks(&table[..]);
                assert_eq!(masks, Masks::default(), "{}", subject.escape_ascii());
            }
        }
    }
}
