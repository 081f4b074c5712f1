//! From rules to the table that the kernel reads: `sensor_ebpf::table` says what it looks like.

use std::collections::HashMap;

use sensor_ebpf::ABI_VERSION;
use sensor_ebpf::limits::TABLE_WORDS;
use sensor_ebpf::table::{
    ANSWER_ALLOW, ANSWER_ASK, ANSWER_AUDIT, ANSWER_DENY, ANSWER_RULES, ANSWER_WORDS, FLAG_AUDIT,
    H_FLAGS, H_MAGIC, H_VERSION, H_WORDS, HEADER_WORDS, MAGIC, ROW_ANSWER, ROW_KIND, ROW_NEXT,
    SPACE_ANCHORED, SPACE_CLASSES, SPACE_FLOATING, Space,
};
use serde::Serialize;

use super::automaton::Answer;
use super::automaton::dfa::{self, Dfa, TooLarge};
use super::automaton::minimize;
use super::automaton::nfa::Nfa;
use super::rules::Entry;

/// States before minimization at which the compiler gives up: several times what a table holds,
/// because much of it may be merged, and little enough to take a second or two.
const STATES_MAX: usize = 120_000;

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
struct Pair {
    space: Space,
    nfas: [Nfa; 2],
    dfas: [Dfa; 2],
    /// Column of each byte, and how many there are.
    columns: Vec<u32>,
    width: usize,
}

/// Compiles `entries`.
pub(super) fn build(entries: &[Entry], audit: bool) -> Result<(Vec<u32>, Stats), OverBudget> {
    let path = pair(entries, Space::Path)?;
    let object = pair(entries, Space::Object)?;
    let mut writer = Writer::new(audit);
    let (table, answers) = writer.write([&path, &object]);
    let stats = Stats {
        rules: 0,
        patterns: entries.len(),
        anchored_states: path.dfas[0].states(),
        floating_states: path.dfas[1].states(),
        path_classes: path.width,
        object_states: object.dfas[0].states() + object.dfas[1].states(),
        object_classes: object.width,
        answers,
        bytes: table.len() * size_of::<u32>(),
    };
    if table.len() <= TABLE_WORDS {
        return Ok((table, stats));
    }
    let mut rules: Vec<(u32, usize)> = [&path, &object]
        .into_iter()
        .flat_map(|pair| pair.nfas.iter().zip(&pair.dfas))
        .flat_map(|(nfa, dfa)| blame(nfa, dfa))
        .collect();
    rules.sort_by_key(|(rule, states)| (usize::MAX - states, *rule));
    Err(OverBudget {
        rules: rules.into_iter().map(|(rule, _)| rule).collect(),
        bytes: Some(stats.bytes),
    })
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
    Ok(Pair { space, nfas, dfas, columns, width })
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

struct Writer {
    table: Vec<u32>,
    answers: HashMap<Answer, u32>,
}

impl Writer {
    fn new(audit: bool) -> Writer {
        let mut table = vec![0; HEADER_WORDS as usize];
        table[H_MAGIC as usize] = MAGIC;
        table[H_VERSION as usize] = ABI_VERSION;
        table[H_FLAGS as usize] = if audit { FLAG_AUDIT } else { 0 };
        Writer { table, answers: HashMap::new() }
    }

    fn write(&mut self, pairs: [&Pair; 2]) -> (Vec<u32>, usize) {
        for pair in pairs {
            let header = pair.space.header();
            self.set(header + SPACE_CLASSES, self.table.len() as u32);
            self.table.extend(pair.columns.iter().map(|column| ROW_NEXT + column));
        }
        for pair in pairs {
            for dfa in &pair.dfas {
                dfa.answers.iter().for_each(|answer| self.answer(answer));
            }
        }
        for pair in pairs {
            let header = pair.space.header();
            let anchored = self.automaton(&pair.dfas[0], pair);
            self.set(header + SPACE_ANCHORED, anchored);
            let floating = self.automaton(&pair.dfas[1], pair);
            self.set(header + SPACE_FLOATING, floating);
        }
        self.set(H_WORDS, self.table.len() as u32);
        (std::mem::take(&mut self.table), self.answers.len())
    }

    fn set(&mut self, index: u32, word: u32) {
        self.table[index as usize] = word;
    }

    fn answer(&mut self, answer: &Answer) {
        if self.answers.contains_key(answer) {
            return;
        }
        let [allow, audit, ask, deny] = answer.masks().map(u32::from);
        let at = self.table.len();
        self.table.resize(at + ANSWER_WORDS as usize, 0);
        let mut put = |index: u32, word: u32| self.table[at + index as usize] = word;
        // What is reported is also allowed.
        put(ANSWER_ALLOW, allow | audit);
        put(ANSWER_ASK, ask);
        put(ANSWER_DENY, deny);
        put(ANSWER_AUDIT, audit);
        for (right, (_, rule)) in answer.0.iter().enumerate() {
            put(ANSWER_RULES + right as u32, *rule);
        }
        self.answers.insert(*answer, at as u32);
    }

    /// Writes the rows of one automaton; gives its start state.
    fn automaton(&mut self, dfa: &Dfa, pair: &Pair) -> u32 {
        let first = self.table.len() as u32;
        let row = |state: u32| first + state * (ROW_NEXT + pair.width as u32);
        let kinds = minimize::classes(dfa, |state| dfa.answers[state as usize].masks());
        let mut class_of_column = vec![0; pair.width];
        for (byte, column) in pair.columns.iter().enumerate() {
            class_of_column[*column as usize] = usize::from(dfa.class_of[byte]);
        }
        for (state, answer) in dfa.answers.iter().enumerate() {
            let mut words = vec![0; ROW_NEXT as usize];
            words[ROW_ANSWER as usize] = self.answers[answer];
            words[ROW_KIND as usize] = kinds[state];
            let targets = class_of_column.iter().map(|class| dfa.target(state as u32, *class));
            words.extend(targets.map(row));
            self.table.extend(words);
        }
        row(dfa.start)
    }
}
