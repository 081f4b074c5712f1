//! From rules to the table that the kernel reads: `sensor_ebpf::table` says what it looks like.

use std::collections::HashMap;

use sensor_ebpf::limits::TABLE_BYTES;
use sensor_ebpf::table::{BLOCK, Space};
use serde::Serialize;

use super::automaton::dfa::{self, Dfa, TooLarge};
use super::automaton::minimize;
use super::automaton::nfa::Nfa;
use super::relation::{self, Condition, Relation};
use super::rules::Entry;
use super::writer;

/// States before minimization at which the compiler gives up: several times what a table holds,
/// because much of it may be merged, and little enough to take a second or two.
const STATES_MAX: usize = 120_000;

/// Blocks of a table.
const BLOCKS: usize = TABLE_BYTES / BLOCK as usize;

/// How large a policy came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Rules, one per pattern written, built-in ones included.
    pub rules: usize,
    /// Patterns over subjects that they stand for.
    pub patterns: usize,
    /// States of the automaton of anchored path patterns.
    pub anchored_states: usize,
    /// States of the automaton of path patterns that begin with `**`.
    pub floating_states: usize,
    /// Classes of bytes in paths.
    pub path_classes: usize,
    /// States of the automaton of all other subjects.
    pub object_states: usize,
    /// Classes of bytes in those.
    pub object_classes: usize,
    /// Different answers.
    pub answers: usize,
    /// Kinds of directories: states behind a slash under which not the same may be done.
    pub directories: usize,
    /// Bytes of the table that say which directory may be moved to where.
    pub relation_bytes: usize,
    /// Whether they say it of all of them. If not, some directories may move only to where
    /// everything below them has the very same rights.
    pub relation_complete: bool,
    /// Bytes of table.
    pub bytes: usize,
}

/// The table would be too large.
#[derive(Debug)]
pub(super) struct OverBudget {
    /// Rules that make it grow, worst first.
    pub rules: Vec<u32>,
    /// Bytes that it would have, where it got as far.
    pub bytes: Option<usize>,
}

/// A space's two automata, and the classes of bytes that both have.
pub(super) struct Pair {
    pub space: Space,
    nfas: [Nfa; 2],
    /// The automaton of anchored patterns and that of floating ones.
    pub dfas: [Dfa; 2],
    /// Column of each byte, and how many there are.
    pub columns: Vec<u32>,
    pub width: usize,
    /// What is known of moves between the states of each automaton.
    pub relations: [Relation; 2],
}

impl Pair {
    fn states(&self) -> usize {
        self.dfas.iter().map(Dfa::states).sum()
    }
}

/// Compiles `entries`.
pub(super) fn build(entries: &[Entry], audit: bool) -> Result<(Vec<u16>, Stats), OverBudget> {
    let mut path = pair(entries, Space::Path)?;
    let object = pair(entries, Space::Object)?;
    let mut sizes = writer::sizes([&path, &object]);
    if sizes.blocks > BLOCKS && sizes.blocks - sizes.relations <= BLOCKS {
        path.relations.iter_mut().for_each(Relation::cut);
        sizes = writer::sizes([&path, &object]);
    }
    if sizes.blocks > BLOCKS {
        return Err(over_budget(&[path, object], sizes.blocks));
    }
    let table = writer::write([&path, &object], audit);
    let stats = Stats {
        rules: 0,
        patterns: entries.len(),
        anchored_states: path.dfas[0].states(),
        floating_states: path.dfas[1].states(),
        path_classes: path.width,
        object_states: object.states(),
        object_classes: object.width,
        answers: sizes.answers,
        directories: path.relations.iter().map(|relation| relation.directories).sum(),
        relation_bytes: sizes.relations * BLOCK as usize,
        relation_complete: path.relations.iter().all(|relation| relation.complete),
        bytes: sizes.blocks * BLOCK as usize,
    };
    Ok((table, stats))
}

fn over_budget(pairs: &[Pair], blocks: usize) -> OverBudget {
    let mut rules: Vec<(u32, usize)> = pairs
        .iter()
        .flat_map(|pair| pair.nfas.iter().zip(&pair.dfas))
        .flat_map(|(nfa, dfa)| blame(nfa, dfa))
        .collect();
    rules.sort_by_key(|(rule, states)| (usize::MAX - states, *rule));
    OverBudget {
        rules: rules.into_iter().map(|(rule, _)| rule).collect(),
        bytes: Some(blocks * BLOCK as usize),
    }
}

/// The rules whose wildcards are open in the most states of an automaton that is too large.
fn blame(nfa: &Nfa, dfa: &Dfa) -> Vec<(u32, usize)> {
    let again = dfa::determinize(nfa, &dfa.class_of, dfa.states() / 2);
    again.err().map_or(Vec::new(), |too_large| too_large.rules)
}

fn pair(entries: &[Entry], space: Space) -> Result<Pair, OverBudget> {
    let mut nfas = [Nfa::new(), Nfa::new()];
    for entry in entries.iter().filter(|entry| entry.space == space) {
        nfas[usize::from(entry.floating)].add(&entry.elems, entry.accept);
    }
    let nfas = nfas.map(|nfa| nfa.reduced());
    let [anchored, floating] = &nfas;
    let class_of = dfa::byte_classes(&[anchored, floating]);
    let minimal = |nfa: &Nfa| {
        dfa::determinize(nfa, &class_of, STATES_MAX).map(|dfa| minimize::minimize(&dfa)).map_err(
            |TooLarge { rules }| OverBudget {
                rules: rules.into_iter().map(|(rule, _)| rule).collect(),
                bytes: None,
            },
        )
    };
    let dfas = [minimal(anchored)?, minimal(floating)?];
    let (columns, width) = columns(&dfas, &class_of);
    let relations = match space {
        Space::Path => relations(&dfas),
        // Nothing else has anything below it.
        Space::Object => Default::default(),
    };
    Ok(Pair { space, nfas, dfas, columns, width, relations })
}

fn relations([anchored, floating]: &[Dfa; 2]) -> [Relation; 2] {
    let (by_anchored, by_floating) = (relation::given(anchored), relation::given(floating));
    let strict = |others| Condition { others, mapping: true };
    let loose = Condition { others: by_anchored, mapping: false };
    [
        relation::relate(anchored, &[strict(by_floating)]),
        relation::relate(floating, &[strict(by_anchored), loose]),
    ]
}

/// Classes that no state of either automaton tells apart share a column.
fn columns(dfas: &[Dfa; 2], class_of: &[u8]) -> (Vec<u32>, usize) {
    let mut numbers: HashMap<Vec<u32>, u32> = HashMap::new();
    let classes: Vec<u32> = (0..dfas[0].classes)
        .map(|class| {
            let column = dfas
                .iter()
                .flat_map(|dfa| (0..dfa.states() as u32).map(|state| dfa.target(state, class)))
                .collect();
            let fresh = numbers.len() as u32;
            *numbers.entry(column).or_insert(fresh)
        })
        .collect();
    let columns = class_of.iter().map(|class| classes[usize::from(*class)]);
    (columns.collect(), numbers.len())
}
