//! The blocks of a table, in the order that `sensor_ebpf::table` says. Decides nothing.

use rustc_hash::FxHashMap;
use sensor_ebpf::table::{
    ANSWER_ALLOW, ANSWER_ASK, ANSWER_AUDIT, ANSWER_DENY, ANSWER_RULES, BLOCK, CELL, FLAG_AUDIT,
    H_ANCHORED, H_BLOCKS, H_FLAGS, H_FLOATING, H_FLOATING_LOOSE, RELATION_AT, RELATION_STRIDE,
    ROW_ANSWER, ROW_KIND, ROW_NEW, ROW_NEXT, ROW_OLD, SPACE_ANCHORED, SPACE_CLASSES,
    SPACE_FLOATING, empty, put_long,
};

use super::automaton::Answer;
use super::automaton::dfa::Dfa;
use super::bits::BitRows;
use super::table::Pair;

/// How large a table comes out, in blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// The whole.
    pub blocks: usize,
    /// The relations in it.
    pub relations: usize,
    /// Different answers.
    pub answers: usize,
}

/// Blocks that so many cells take.
const fn blocks(cells: usize) -> usize {
    (cells * CELL as usize).div_ceil(BLOCK as usize)
}

/// Blocks of a class map.
const CLASSES: usize = blocks(256);

/// Blocks of a row.
fn stride(pair: &Pair) -> usize {
    blocks((ROW_NEXT / CELL) as usize + pair.width)
}

/// Cells of all rows of a relation.
fn cells(matrix: &BitRows) -> usize {
    matrix.words().len() * (size_of::<u32>() / CELL as usize)
}

/// What the table of these two will need.
pub(super) fn sizes(pairs: [&Pair; 2]) -> Sizes {
    let answers = answers(pairs).0.len();
    let states = |pair: &Pair| pair.dfas.iter().map(Dfa::states).sum::<usize>();
    let space = |pair: &Pair| CLASSES + states(pair) * stride(pair);
    let matrices = pairs.iter().flat_map(|pair| &pair.relations).flat_map(|r| &r.matrices);
    let relations = matrices.map(|matrix| blocks(cells(matrix))).sum();
    let spaces: usize = pairs.into_iter().map(space).sum();
    Sizes { blocks: 1 + answers + spaces + relations, relations, answers }
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
pub(super) fn write(pairs: [&Pair; 2], audit: bool) -> Vec<u16> {
    let mut writer = Writer { table: empty().to_vec() };
    writer.header(H_FLAGS, if audit { FLAG_AUDIT } else { 0 });
    let (list, places) = answers(pairs);
    list.iter().for_each(|answer| writer.answer(answer));
    for pair in pairs {
        writer.space(pair, &places);
    }
    let matrices = pairs.iter().flat_map(|pair| &pair.relations).flat_map(|r| &r.matrices);
    for (header, matrix) in [H_ANCHORED, H_FLOATING, H_FLOATING_LOOSE].into_iter().zip(matrices) {
        writer.relation(header, matrix);
    }
    let used = writer.next();
    put_long(&mut writer.table, H_BLOCKS, used);
    writer.table
}

struct Writer {
    /// Whole blocks.
    table: Vec<u16>,
}

impl Writer {
    /// The block that is written next.
    fn next(&self) -> u32 {
        blocks(self.table.len()) as u32
    }

    fn header(&mut self, at: u32, value: u32) {
        self.table[(at / CELL) as usize] = value as u16;
    }

    /// Appends `count` empty blocks, to be filled in.
    fn append(&mut self, count: usize) -> &mut [u16] {
        let from = self.table.len();
        self.table.resize(from + count * (BLOCK / CELL) as usize, 0);
        &mut self.table[from..]
    }

    fn answer(&mut self, answer: &Answer) {
        let [allow, audit, ask, deny] = answer.masks();
        let block = self.append(1);
        // What is reported is also allowed.
        block[(ANSWER_ALLOW / CELL) as usize] = allow | audit;
        block[(ANSWER_ASK / CELL) as usize] = ask;
        block[(ANSWER_DENY / CELL) as usize] = deny;
        block[(ANSWER_AUDIT / CELL) as usize] = audit;
        let rules = &mut block[(ANSWER_RULES / CELL) as usize..];
        for (cell, (_, rule)) in rules.iter_mut().zip(answer.0) {
            *cell = rule as u16;
        }
    }

    /// Writes a space's class map, and the rows of its two automata.
    fn space(&mut self, pair: &Pair, places: &FxHashMap<Answer, usize>) {
        let header = pair.space.header();
        self.header(header + SPACE_CLASSES, self.next());
        let classes = self.append(CLASSES);
        for (cell, column) in classes.iter_mut().zip(&pair.columns) {
            *cell = (ROW_NEXT + column * CELL) as u16;
        }
        for (automaton, start) in [SPACE_ANCHORED, SPACE_FLOATING].into_iter().enumerate() {
            let state = self.next() + pair.dfas[automaton].start * stride(pair) as u32;
            self.header(header + start, state);
            self.automaton(pair, automaton, places);
        }
    }

    /// Writes the rows of one automaton.
    fn automaton(&mut self, pair: &Pair, automaton: usize, places: &FxHashMap<Answer, usize>) {
        let dfa = &pair.dfas[automaton];
        let mut class_of_column = vec![0; pair.width];
        for (byte, column) in pair.columns.iter().enumerate() {
            class_of_column[*column as usize] = usize::from(dfa.class_of[byte]);
        }
        let first = self.next();
        for (state, answer) in dfa.answers.iter().enumerate() {
            let relation = pair.relations[automaton].states.get(state);
            let (kind, [old, new]) = relation.copied().unwrap_or_default();
            let row = self.append(stride(pair));
            row[(ROW_ANSWER / CELL) as usize] = 1 + places[answer] as u16;
            row[(ROW_KIND / CELL) as usize] = kind as u16;
            row[(ROW_OLD / CELL) as usize] = old;
            row[(ROW_NEW / CELL) as usize] = new;
            let columns = &mut row[(ROW_NEXT / CELL) as usize..];
            for (cell, class) in columns.iter_mut().zip(&class_of_column) {
                *cell = (first + dfa.target(state as u32, *class) * stride(pair) as u32) as u16;
            }
        }
    }

    fn relation(&mut self, header: u32, matrix: &BitRows) {
        self.header(header + RELATION_AT, self.next());
        self.header(header + RELATION_STRIDE, 2 * matrix.stride() as u32);
        let room = self.append(blocks(cells(matrix)));
        for (pair, word) in room.chunks_exact_mut(2).zip(matrix.words()) {
            pair.copy_from_slice(&[*word as u16, (word >> 16) as u16]);
        }
    }
}
