//! Which name may be traded for which: the rule that keeps names from being laundered. Pure; the
//! relation between states is worked out when a policy is compiled, and only looked up here.
//!
//! For one object the question is [`Masks::within`]. A directory takes all that is below it along,
//! so for it the question is about every suffix: may what is at `old/suffix` be called
//! `new/suffix`? The compiler answers it for every pair of states that a path can be in behind a
//! slash, separately for the two automata: if `old` and `new` are related in both, every suffix is
//! [`Masks::within`] (`policy::relation` in userspace has the proof). Of two states
//! of one kind nothing needs to be looked up but whether anything below must be asked for, which
//! makes the common case, a move inside one tree, one comparison.
//!
//! A relation is a matrix of bits; a state has the number of its row and that of its column.

use crate::table::{
    CELL, Cells, Cursor, H_ANCHORED, H_FLOATING, H_FLOATING_LOOSE, RELATION_AT, RELATION_STRIDE,
    ROW_KIND, ROW_NEW, ROW_OLD, in_block,
};

/// In `ROW_OLD` and `ROW_NEW`: the number of the state's row, or column, of its relation. Row 0 and
/// column 0 are empty.
pub const NUMBER: u32 = 0x3fff;

/// In `ROW_OLD`: nothing below needs somebody's yes, so the state is related to itself.
pub const OLD_STEADY: u32 = 1 << 15;

/// In `ROW_OLD`, of an anchored state: everything below may be mapped, so that no rule is needed to
/// keep what was writable from becoming mappable by losing `write`.
pub const OLD_MAPPED: u32 = 1 << 14;

/// In `ROW_NEW`, of an anchored state: nothing below may be read, so that nothing is mappable for
/// being read-only.
pub const NEW_UNREAD: u32 = 1 << 14;

impl Cursor {
    /// Whether a directory that is named here may be named as `to` is: neither it nor anything
    /// below it offers under the new name what it did not offer under this one.
    ///
    /// What is below a directory is named by its path, a slash and more, so the states behind the
    /// slash are compared: `/w/i` and `/w/j` differ where a pattern has `**/id`, and nothing below
    /// them does.
    #[inline(always)]
    pub fn directory_within<W: Cells + ?Sized>(mut self, table: &W, mut to: Cursor) -> bool {
        let own = to.masks(table).within(self.masks(table));
        self.step(table, b'/');
        to.step(table, b'/');
        own && self.below_within(table, to)
    }

    /// Whether everything that is below a directory may take the name that it has below `to`; both
    /// stand behind the directory's slash.
    #[inline(always)]
    pub fn below_within<W: Cells + ?Sized>(&self, table: &W, to: Cursor) -> bool {
        let anchored = Edge::new(table, self.anchored, to.anchored);
        let floating = Edge::new(table, self.floating, to.floating);
        let mapping_is_settled = (anchored.old & OLD_MAPPED) | (anchored.new & NEW_UNREAD);
        let relation = if mapping_is_settled != 0 { H_FLOATING_LOOSE } else { H_FLOATING };
        anchored.holds(table, H_ANCHORED) && floating.holds(table, relation)
    }
}

/// What is known of a move between two states of one automaton.
struct Edge {
    /// Whether they are of one kind.
    same: bool,
    /// `ROW_OLD` of the one, as it is left.
    old: u32,
    /// `ROW_NEW` of the other, as it is entered.
    new: u32,
}

impl Edge {
    /// A move from one state to another.
    #[inline(always)]
    fn new<W: Cells + ?Sized>(table: &W, from: u32, to: u32) -> Edge {
        let field = |state: u32, field| table.cell(in_block(state, field));
        Edge {
            same: field(from, ROW_KIND) == field(to, ROW_KIND),
            old: field(from, ROW_OLD),
            new: field(to, ROW_NEW),
        }
    }

    /// Whether the states are related.
    #[inline(always)]
    fn holds<W: Cells + ?Sized>(&self, table: &W, relation: u32) -> bool {
        if self.same {
            return self.old & OLD_STEADY != 0;
        }
        let at = table.cell(relation + RELATION_AT);
        let stride = table.cell(relation + RELATION_STRIDE);
        let (row, column) = (self.old & NUMBER, self.new & NUMBER);
        let cell = row.wrapping_mul(stride).wrapping_add(column >> 4);
        table.cell(in_block(at, cell.wrapping_mul(CELL))) >> (column & 15) & 1 != 0
    }
}
