//! Which directory may move to which place: the relation between states that the kernel looks up
//! in `sensor_ebpf::within`, worked out when a policy is compiled.
//!
//! A directory takes all that is below it along, so a move from state `x` to state `y` is safe if
//! `masks(y·s)` is `Masks::below_within(masks(x·s))` for *every* suffix `s`. The masks are those of
//! two automata united, and all quadruples of states are too many to look at. So each automaton
//! gets a relation of its own, with a condition ([`Condition::holds`]) on pairs of states that is
//! strong enough to stand whatever the other automaton says, as long as that keeps its own.
//!
//! Why the two conditions together imply `below_within`, right by right. Of one automaton each
//! state says of a right nothing, allow, audit, ask or deny; united, a deny beats an ask beats an
//! audit beats an allow. If some `y` denies the right, nothing is offered under the new name.
//! Otherwise each automaton satisfies one of the two other parts:
//! - its `y` gives the right, as strongly reported as its `x`, and its `x` gives it freely (or, of a
//!   right on names, both ask for it);
//! - its `y` says nothing, and its `x` neither denies nor asks nor reports. Or it does, and the
//!   other automaton never gives the right at all: then nobody gives it under the new name.
//!
//! So if the right is offered under the new name, some `x` gives it, and none denies it, asks for
//! it, or reports it without its `y` doing so. The exception is the `map` that reading implies
//! where nothing may be written, which a name can gain by losing `write`: see
//! [`Condition::mapping`].
//!
//! What is lost, since both must hold for themselves: a right that one automaton gives and takes
//! back in the other is taken for given, and a move from where one denies to where the other does
//! is refused. Nothing that `below_within` refuses is ever allowed.

use rustc_hash::{FxHashMap, FxHashSet};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::within::{NEW_UNREAD, NUMBER, OLD_MAPPED, OLD_STEADY};

use super::automaton::dfa::Dfa;
use super::automaton::minimize;
use super::bits::{self, BitRows};

/// Pairs of states that are visited before the rest is taken to be unrelated: many times what a
/// thousand rules need, and what is remembered of them stays below 100 MB.
const VISITS_MAX: usize = 2_000_000;

/// Kinds of directories that are held against each other; those beyond are unrelated to all others.
const DIRECTORIES_MAX: usize = 8192;

/// The relation of one automaton.
#[derive(Debug, Default)]
pub(super) struct Relation {
    /// Of each state its kind, and itself as the one that is left and that is entered: what
    /// `ROW_KIND`, `ROW_OLD` and `ROW_NEW` hold.
    pub states: Vec<(u32, [u16; 2])>,
    /// Per condition the bits; row and column 0 are empty.
    pub matrices: Vec<BitRows>,
    /// Kinds of states behind a slash.
    pub directories: usize,
    /// Whether the search came to its end.
    pub complete: bool,
}

/// What a state says of every right: per strength a mask, no right in two of them.
#[derive(Clone, Copy, Debug)]
struct Said {
    allow: u16,
    audit: u16,
    ask: u16,
    deny: u16,
}

impl Said {
    fn given(self) -> u16 {
        self.allow | self.audit | self.ask
    }

    fn free(self) -> u16 {
        self.allow | self.audit
    }
}

const READ: u16 = Rights::READ.0 as u16;
const MAP: u16 = Rights::MAP.0 as u16;
const ENTRY: u16 = Rights::ENTRY.0 as u16;
const WRITERS: [u16; 2] = [Rights::WRITE.0 as u16, Rights::CREATE.0 as u16];

/// Under what a pair of states of one automaton counts as related.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// Rights that the other automaton gives anywhere.
    pub others: u16,
    /// Whether implied mapping is looked at here, or is known to be settled by the other one.
    pub mapping: bool,
}

impl Condition {
    fn holds(self, old: Said, new: Said) -> bool {
        let silent = !(new.given() | new.deny);
        let gained = new.free() & !old.free()
            | new.ask & !(old.free() | old.ask & ENTRY)
            | new.allow & old.audit
            | silent & self.others & (old.deny | old.ask | old.audit);
        gained == 0 && (!self.mapping || self.mapping(old, new))
    }

    /// Whether `map` is not gained by losing `write` or `create`. One of these is enough:
    /// - the new name denies mapping, or gives it, as then the old one does;
    /// - it can certainly not be read;
    /// - the old name gives mapping;
    /// - whoever could write under the old name can under the new one, so that mapping is implied
    ///   there only where it was before.
    ///
    /// It holds if it does for both automata: one that is sure by one of the first three is sure
    /// whatever the other says, and the last of both together keeps all writing.
    fn mapping(self, old: Said, new: Said) -> bool {
        if (new.deny | new.given()) & MAP != 0 {
            return true;
        }
        if self.unread(new) {
            return true;
        }
        let writable = WRITERS.iter().all(|right| {
            (old.given() & right == 0 || new.given() & right != 0)
                && (new.deny & right == 0 || old.deny & right != 0)
        });
        (old.free() & MAP != 0 || writable) && (old.deny | old.ask | old.audit) & MAP == 0
    }

    /// Whether what is named so can certainly not be read without asking.
    fn unread(self, new: Said) -> bool {
        (new.deny | new.ask) & READ != 0 || (new.given() | self.others) & READ == 0
    }
}

/// The automaton with one state per kind, and what most of the bytes do told apart from the rest.
struct Kinds {
    said: Vec<Said>,
    /// Of each kind the classes that do not lead to its default, with where they lead.
    edges: Vec<Vec<(u8, u32)>>,
    default: Vec<u32>,
    classes: usize,
    /// Whether nothing below needs a yes that must be asked for anew.
    steady: Vec<bool>,
}

impl Kinds {
    fn new(dfa: &Dfa, kind_of: &[u32]) -> Kinds {
        let count = kind_of.iter().max().map_or(0, |last| *last as usize + 1);
        let mut representative = vec![0; count];
        for (state, kind) in kind_of.iter().enumerate() {
            representative[*kind as usize] = state as u32;
        }
        let mut kinds = Kinds {
            said: Vec::with_capacity(count),
            edges: Vec::with_capacity(count),
            default: Vec::with_capacity(count),
            classes: dfa.classes,
            steady: Vec::new(),
        };
        for state in representative {
            let [allow, audit, ask, deny] = dfa.answers[state as usize].masks();
            kinds.said.push(Said { allow, audit, ask, deny });
            let targets: Vec<u32> =
                (0..dfa.classes).map(|class| kind_of[dfa.target(state, class) as usize]).collect();
            let default = most_common(&targets);
            let edges = targets.iter().enumerate().filter(|(_, to)| **to != default);
            kinds.edges.push(edges.map(|(class, to)| (class as u8, *to)).collect());
            kinds.default.push(default);
        }
        kinds.steady = kinds.everywhere(|said| said.ask & !ENTRY == 0);
        kinds
    }

    /// Of each kind, whether `holds` of it and of all that it leads to.
    fn everywhere(&self, holds: impl Fn(Said) -> bool) -> Vec<bool> {
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); self.said.len()];
        for (from, edges) in self.edges.iter().enumerate() {
            for to in edges.iter().map(|(_, to)| *to).chain([self.default[from]]) {
                before[to as usize].push(from as u32);
            }
        }
        let mut all: Vec<bool> = self.said.iter().map(|said| holds(*said)).collect();
        let mut left: Vec<usize> = (0..all.len()).filter(|kind| !all[*kind]).collect();
        while let Some(kind) = left.pop() {
            for from in &before[kind] {
                if std::mem::take(&mut all[*from as usize]) {
                    left.push(*from as usize);
                }
            }
        }
        all
    }

    /// Where a byte can lead from both at once.
    fn steps(&self, x: u32, y: u32) -> impl Iterator<Item = (u32, u32)> {
        let (xs, ys) = (&self.edges[x as usize], &self.edges[y as usize]);
        let defaults = (self.default[x as usize], self.default[y as usize]);
        let (mut i, mut j, mut told) = (0, 0, 0);
        let mut rest = true;
        std::iter::from_fn(move || {
            let (a, b) = (xs.get(i), ys.get(j));
            let next = match (a, b) {
                (Some((c, to)), Some((d, other))) if c == d => {
                    (i, j) = (i + 1, j + 1);
                    (*to, *other)
                }
                (Some((c, to)), b) if b.is_none_or(|(d, _)| c < d) => {
                    i += 1;
                    (*to, defaults.1)
                }
                (_, Some((_, to))) => {
                    j += 1;
                    (defaults.0, *to)
                }
                _ if std::mem::take(&mut rest) && told < self.classes => return Some(defaults),
                _ => return None,
            };
            told += 1;
            Some(next)
        })
    }
}

fn most_common(targets: &[u32]) -> u32 {
    let mut counts: FxHashMap<u32, usize> = FxHashMap::default();
    targets.iter().for_each(|to| *counts.entry(*to).or_default() += 1);
    let most = counts.into_iter().max_by_key(|(to, count)| (*count, u32::MAX - to));
    most.map_or(0, |(to, _)| to)
}

/// The search for pairs that are not related: related is what no suffix leads from to a pair that
/// fails the condition.
struct Search<'k> {
    kinds: &'k Kinds,
    condition: Condition,
    known: FxHashMap<(u32, u32), bool>,
    visits: usize,
}

impl Search<'_> {
    /// What can be told of a pair at sight.
    fn glance(&self, x: u32, y: u32) -> Option<bool> {
        if x == y {
            return Some(self.kinds.steady[x as usize]);
        }
        if !self.condition.holds(self.kinds.said[x as usize], self.kinds.said[y as usize]) {
            return Some(false);
        }
        self.known.get(&(x, y)).copied()
    }

    fn related(&mut self, x: u32, y: u32) -> bool {
        if let Some(known) = self.glance(x, y) {
            return known;
        }
        let mut seen = FxHashSet::from_iter([(x, y)]);
        let mut left = vec![(x, y)];
        while let Some(pair) = left.pop() {
            self.visits += 1;
            if self.visits > VISITS_MAX {
                return false;
            }
            for next in self.kinds.steps(pair.0, pair.1) {
                match self.glance(next.0, next.1) {
                    Some(true) => {}
                    Some(false) => {
                        // The pair itself fails, and so does the one that was asked about.
                        self.known.insert(pair, false);
                        self.known.insert((x, y), false);
                        return false;
                    }
                    None => {
                        if seen.insert(next) {
                            left.push(next);
                        }
                    }
                }
            }
        }
        self.known.extend(seen.into_iter().map(|pair| (pair, true)));
        true
    }

    /// Which of `kinds` are related to which.
    fn square(&mut self, kinds: &[u32]) -> BitRows {
        let mut square = BitRows::new(kinds.len(), kinds.len());
        for (row, x) in kinds.iter().enumerate() {
            for (column, y) in kinds.iter().enumerate() {
                if x != y && self.related(*x, *y) {
                    square.set(row, column);
                }
            }
        }
        square
    }
}

/// The relations of `dfa`'s states that can be reached behind a slash, one per condition; the first
/// condition also decides what is said of single states.
pub(super) fn relate(dfa: &Dfa, conditions: &[Condition]) -> Relation {
    let kind_of = minimize::classes(dfa, |state| dfa.answers[state as usize].masks());
    let kinds = Kinds::new(dfa, &kind_of);
    let slash = usize::from(dfa.class_of[usize::from(b'/')]);
    let mut directories: Vec<u32> =
        (0..dfa.states() as u32).map(|s| kind_of[dfa.target(s, slash) as usize]).collect();
    directories.sort_unstable();
    directories.dedup();
    let all = directories.len();
    directories.truncate(DIRECTORIES_MAX);
    let mut complete = all == directories.len();
    let squares = conditions.iter().map(|condition| {
        let mut search =
            Search { kinds: &kinds, condition: *condition, known: FxHashMap::default(), visits: 0 };
        let square = search.square(&directories);
        complete &= search.visits <= VISITS_MAX;
        square
    });
    let folded = bits::fold(squares.collect(), directories.len(), NUMBER as usize);
    let mapped = kinds.everywhere(|said| said.free() & MAP != 0);
    let unread = kinds.everywhere(|said| conditions.iter().all(|condition| condition.unread(said)));
    let flag = |holds: bool, bit: u32| if holds { bit as u16 } else { 0 };
    let states = kind_of.iter().map(|kind| {
        let at = directories.binary_search(kind).ok();
        let (row, column) = at.map_or((0, 0), |at| (folded.row_of[at], folded.column_of[at]));
        let kind = *kind as usize;
        let old = row | flag(kinds.steady[kind], OLD_STEADY) | flag(mapped[kind], OLD_MAPPED);
        (kind as u32, [old, column | flag(unread[kind], NEW_UNREAD)])
    });
    Relation { states: states.collect(), matrices: folded.matrices, directories: all, complete }
}

impl Relation {
    /// Leaves out what is there to allow moves between states of different kinds.
    pub(super) fn cut(&mut self) {
        self.matrices.iter_mut().for_each(|matrix| *matrix = BitRows::new(1, 1));
        for (_, moves) in &mut self.states {
            moves.iter_mut().for_each(|half| *half &= !(NUMBER as u16));
        }
        self.complete = false;
    }
}

/// The rights that an automaton gives anywhere.
pub(super) fn given(dfa: &Dfa) -> u16 {
    dfa.answers.iter().fold(0, |all, answer| {
        let [allow, audit, ask, _] = answer.masks();
        all | allow | audit | ask
    })
}
