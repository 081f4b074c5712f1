//! The words of a table, in the order that `sensor_ebpf::table` says. Decides nothing.

use rustc_hash::FxHashMap;
use sensor_ebpf::ABI_VERSION;
use sensor_ebpf::table::{
    ANSWER_ALLOW, ANSWER_ASK, ANSWER_AUDIT, ANSWER_DENY, ANSWER_RULES, ANSWER_WORDS, FLAG_AUDIT,
    H_ANCHORED, H_FLAGS, H_FLOATING, H_FLOATING_LOOSE, H_MAGIC, H_VERSION, H_WORDS, HEADER_WORDS,
    MAGIC, RELATION_AT, RELATION_STRIDE, ROW_NEXT, SPACE_ANCHORED, SPACE_CLASSES, SPACE_FLOATING,
};

use super::automaton::Answer;
use super::automaton::dfa::Dfa;
use super::table::Pair;

/// How large a table comes out, in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// The whole.
    pub words: usize,
    /// The relations in it.
    pub relations: usize,
    /// Different answers.
    pub answers: usize,
}

/// Words of a row.
fn stride(pair: &Pair) -> usize {
    ROW_NEXT as usize + pair.width
}

/// Words of a class map.
const CLASSES_WORDS: usize = 256;

/// What the table of these two will need.
pub(super) fn sizes(pairs: [&Pair; 2]) -> Sizes {
    let answers = answers(pairs).0.len();
    let answer_words = answers * ANSWER_WORDS as usize;
    let states = |pair: &Pair| pair.dfas.iter().map(Dfa::states).sum::<usize>();
    let space = |pair: &Pair| CLASSES_WORDS + states(pair) * stride(pair);
    let matrices = pairs.iter().flat_map(|pair| &pair.relations).flat_map(|r| &r.matrices);
    let relations = matrices.map(|matrix| matrix.words().len()).sum();
    let spaces: usize = pairs.into_iter().map(space).sum();
    Sizes { words: HEADER_WORDS as usize + answer_words + spaces + relations, relations, answers }
}

/// The different answers in the order in which the automata have them, and the place of each.
fn answers(pairs: [&Pair; 2]) -> (Vec<Answer>, FxHashMap<Answer, usize>) {
    let mut list = Vec::new();
    let mut places = FxHashMap::default();
    for answer in pairs.into_iter().flat_map(|pair| &pair.dfas).flat_map(|dfa| &dfa.answers) {
        places.entry(*answer).or_insert_with(|| {
            list.push(*answer);
            list.len() - 1
        });
    }
    (list, places)
}

/// Writes the table of these two, which must have been found to fit.
pub(super) fn write(pairs: [&Pair; 2], audit: bool) -> Vec<u32> {
    let mut writer = Writer { table: vec![0; HEADER_WORDS as usize] };
    writer.set(H_MAGIC, MAGIC);
    writer.set(H_VERSION, ABI_VERSION);
    writer.set(H_FLAGS, if audit { FLAG_AUDIT } else { 0 });
    let (list, places) = answers(pairs);
    list.iter().for_each(|answer| writer.answer(answer));
    for pair in pairs {
        writer.space(pair, &places);
    }
    let matrices = pairs.iter().flat_map(|pair| &pair.relations).flat_map(|r| &r.matrices);
    for (header, matrix) in [H_ANCHORED, H_FLOATING, H_FLOATING_LOOSE].into_iter().zip(matrices) {
        writer.set(header + RELATION_AT, writer.table.len() as u32);
        writer.set(header + RELATION_STRIDE, matrix.stride() as u32);
        writer.table.extend(matrix.words());
    }
    writer.set(H_WORDS, writer.table.len() as u32);
    writer.table
}

struct Writer {
    table: Vec<u32>,
}

impl Writer {
    fn set(&mut self, index: u32, word: u32) {
        self.table[index as usize] = word;
    }

    fn answer(&mut self, answer: &Answer) {
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
    }

    /// Writes a space's class map, and the rows of its two automata.
    fn space(&mut self, pair: &Pair, places: &FxHashMap<Answer, usize>) {
        let classes = self.table.len();
        self.table.extend(pair.columns.iter().map(|column| ROW_NEXT + column));
        let header = pair.space.header();
        self.set(header + SPACE_CLASSES, classes as u32);
        for (automaton, start) in [SPACE_ANCHORED, SPACE_FLOATING].into_iter().enumerate() {
            let first = self.table.len();
            let state = first + pair.dfas[automaton].start as usize * stride(pair);
            self.set(header + start, state as u32);
            self.automaton(pair, automaton, first, places);
        }
    }

    /// Writes the rows of one automaton from word `first` on.
    fn automaton(
        &mut self,
        pair: &Pair,
        automaton: usize,
        first: usize,
        places: &FxHashMap<Answer, usize>,
    ) {
        let dfa = &pair.dfas[automaton];
        let mut class_of_column = vec![0; pair.width];
        for (byte, column) in pair.columns.iter().enumerate() {
            class_of_column[*column as usize] = usize::from(dfa.class_of[byte]);
        }
        let row = |state: u32| (first + state as usize * stride(pair)) as u32;
        for (state, answer) in dfa.answers.iter().enumerate() {
            let place = HEADER_WORDS as usize + places[answer] * ANSWER_WORDS as usize;
            let relation = pair.relations[automaton].states.get(state);
            let (kind, [old, new]) = relation.copied().unwrap_or_default();
            self.table.extend([place as u32, kind, u32::from(old) | u32::from(new) << 16]);
            let targets = class_of_column.iter().map(|class| dfa.target(state as u32, *class));
            self.table.extend(targets.map(row));
        }
    }
}
