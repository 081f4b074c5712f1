//! The rule for renames, exchanges and links. Pure: the hooks, the tests and the model of laundering
//! judge a move by the same code.
//!
//! A fence by names is worth nothing if an object can be given a name that allows more. So besides
//! the rights that each name needs, a file may only move to where every way to its content was open
//! already ([`Masks::within`](crate::verdict::Masks::within)). A directory takes all that is below
//! it along, so the same must hold of everything below both names ([`Cursor::directory_within`]).

use crate::rights::Rights;
use crate::table::{Cells, Cursor};
use crate::verdict::{Decision, Verdict, decide};

/// What is to be done with two names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// Rights that the old name needs.
    pub old: Rights,
    /// Rights that the new name needs.
    pub new: Rights,
    /// Whether a directory is at the old name.
    pub old_is_directory: bool,
    /// Whether a directory is at the new name; means something in an exchange only.
    pub new_is_directory: bool,
    /// Whether each object gets the name of the other.
    pub exchange: bool,
}

impl Move {
    /// `link(2)`, which directories cannot have.
    #[inline(always)]
    #[must_use]
    pub const fn link() -> Move {
        Move {
            old: Rights::LINK,
            new: Rights::CREATE,
            old_is_directory: false,
            new_is_directory: false,
            exchange: false,
        }
    }

    /// `rename(2)`; `replaces` says whether something has the new name already.
    #[inline(always)]
    #[must_use]
    pub const fn rename(directory: bool, replaces: bool) -> Move {
        let new = if replaces { Rights::DELETE.or(Rights::CREATE) } else { Rights::CREATE };
        Move {
            old: Rights::DELETE,
            new,
            old_is_directory: directory,
            new_is_directory: false,
            exchange: false,
        }
    }

    /// `renameat2(2)` with `RENAME_EXCHANGE`.
    #[inline(always)]
    #[must_use]
    pub const fn exchange(old_is_directory: bool, new_is_directory: bool) -> Move {
        let both = Rights::DELETE.or(Rights::CREATE);
        Move { old: both, new: both, old_is_directory, new_is_directory, exchange: true }
    }
}

/// What a policy says of a move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weighed {
    /// The verdict, and the rights that brought it about.
    pub decision: Decision,
    /// Id of the rule that says it, 0 where none does.
    pub rule: u32,
    /// Whether the rights are those of the new name.
    pub of_new: bool,
    /// Refused, or reported, because an object would gain a way to its content.
    pub widens: bool,
}

/// Judges a move, where the automata stand at `from` after the old name and at `to` after the new one.
#[inline(always)]
pub fn judge<W: Cells + ?Sized>(
    table: &W,
    from: Cursor,
    to: Cursor,
    wanted: Move,
    audit: bool,
) -> Weighed {
    let weighed = names(table, from, to, wanted.old, wanted.new, audit);
    let refused = weighed.decision.verdict >= Verdict::Ask;
    let within = |directory, back| {
        let (from, to) = if back { (to, from) } else { (from, to) };
        within(table, directory, from, to)
    };
    if !refused && gains(wanted, within) { widening(wanted.new, audit) } else { weighed }
}

/// Judges both names, each for itself: the severer of the two counts, of equals that of the old.
#[inline(always)]
pub fn names<W: Cells + ?Sized>(
    table: &W,
    from: Cursor,
    to: Cursor,
    old: Rights,
    new: Rights,
    audit: bool,
) -> Weighed {
    let taken = decide(from.masks(table), old, audit);
    let given = decide(to.masks(table), new, audit);
    let of_new = taken.verdict < given.verdict;
    let (decision, cursor) = if of_new { (given, to) } else { (taken, from) };
    Weighed { decision, rule: cursor.rule(table, decision.because), of_new, widens: false }
}

/// Whether what moves, or is exchanged, would gain a way to its content. `within` says of a directory
/// or a file, the first argument, whether it gains nothing by the other name; the second argument is
/// whether it goes from the new name to the old one.
#[inline(always)]
pub fn gains(wanted: Move, within: impl Fn(bool, bool) -> bool) -> bool {
    let forth = within(wanted.old_is_directory, false);
    let back = !wanted.exchange || within(wanted.new_is_directory, true);
    !(forth && back)
}

/// What is said of a move by which an object gains. No rule says it, so none is named.
#[inline(always)]
#[must_use]
pub const fn widening(new: Rights, audit: bool) -> Weighed {
    let verdict = if audit { Verdict::Audit } else { Verdict::Deny };
    let decision = Decision { verdict, because: new };
    Weighed { decision, rule: 0, of_new: true, widens: true }
}

/// Whether what has one name gains nothing by the other.
#[inline(always)]
pub fn within<W: Cells + ?Sized>(table: &W, directory: bool, from: Cursor, to: Cursor) -> bool {
    if directory {
        from.directory_within(table, to)
    } else {
        to.masks(table).within(from.masks(table))
    }
}
