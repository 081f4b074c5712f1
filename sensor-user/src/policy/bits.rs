//! Matrices of bits, and how they are made small: rows that are alike become one, and so do columns.

use rustc_hash::FxHashMap;

/// Rows of bits, 32 to a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BitRows {
    stride: usize,
    words: Vec<u32>,
}

/// Square matrices of one size without their doubles.
pub(super) struct Folded {
    /// What is left of each; row and column 0 are empty.
    pub matrices: Vec<BitRows>,
    /// Where each row of the squares went.
    pub row_of: Vec<u16>,
    /// Where each column went.
    pub column_of: Vec<u16>,
}

impl BitRows {
    pub(super) fn new(rows: usize, columns: usize) -> BitRows {
        let stride = columns.div_ceil(32);
        BitRows { stride, words: vec![0; rows * stride] }
    }

    /// Words of a row.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// All rows, one after the other.
    pub(super) fn words(&self) -> &[u32] {
        &self.words
    }

    pub(super) fn set(&mut self, row: usize, column: usize) {
        self.words[row * self.stride + column / 32] |= 1 << (column % 32);
    }

    fn get(&self, row: usize, column: usize) -> bool {
        self.words[row * self.stride + column / 32] >> (column % 32) & 1 != 0
    }

    fn row(&self, row: usize) -> &[u32] {
        &self.words[row * self.stride..(row + 1) * self.stride]
    }

    /// Fills in the diagonal, which does not matter to whoever asks only about what is beside it, so
    /// that as many rows as possible are alike.
    fn fill(&mut self, size: usize) {
        for at in 0..size {
            // One of several that are related to each other; the others' rows have its bit.
            if (0..size).any(|other| self.get(at, other) && self.get(other, at)) {
                self.set(at, at);
            }
        }
    }
}

/// The square matrices without what they have twice: rows that are alike in all of them become one,
/// and so do columns. What is on the diagonals changes. At most `limit` rows and columns are told
/// apart; those beyond become empty.
pub(super) fn fold(mut squares: Vec<BitRows>, size: usize, limit: usize) -> Folded {
    squares.iter_mut().for_each(|square| square.fill(size));
    let row = |row| squares.iter().flat_map(|square| square.row(row).to_vec()).collect();
    let (row_of, rows) = numbered((0..size).map(row), limit);
    let stride = size.div_ceil(32);
    let column = |column: usize| {
        let bit = |words: &[u32]| words[column / 32] >> (column % 32) & 1;
        rows.iter().flat_map(|row| row.chunks(stride).map(bit)).collect()
    };
    let (column_of, columns) = numbered((0..size).map(column), limit);
    let matrices = (0..squares.len()).map(|which| {
        let mut matrix = BitRows::new(rows.len() + 1, columns.len() + 1);
        for (at, bits) in columns.iter().enumerate() {
            let bits = bits.iter().skip(which).step_by(squares.len());
            for (row, _) in bits.enumerate().filter(|(_, bit)| **bit == 1) {
                matrix.set(row + 1, at + 1);
            }
        }
        matrix
    });
    Folded { matrices: matrices.collect(), row_of, column_of }
}

/// The number of each item from 1, equal ones having the same and those without any bit 0, and the
/// items by number.
fn numbered(items: impl Iterator<Item = Vec<u32>>, limit: usize) -> (Vec<u16>, Vec<Vec<u32>>) {
    let mut numbers: FxHashMap<Vec<u32>, u16> = FxHashMap::default();
    let mut distinct = Vec::new();
    let number = |item: Vec<u32>| {
        if item.iter().all(|word| *word == 0) {
            return 0;
        }
        if let Some(number) = numbers.get(&item) {
            return *number;
        }
        if distinct.len() >= limit {
            return 0;
        }
        distinct.push(item.clone());
        let number = distinct.len() as u16;
        numbers.insert(item, number);
        number
    };
    (items.map(number).collect(), distinct)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_matrix_says_the_same_beside_the_diagonal() {
        // A square in which 0, 1 and 2 are unrelated, 3 and 4 related to each other and to 0.
        let pairs = [(3, 4), (4, 3), (3, 0), (4, 0), (5, 5)];
        let mut square = BitRows::new(40, 40);
        pairs.iter().for_each(|(row, column)| square.set(*row, *column));
        let twin = BitRows::new(40, 40);
        let folded = fold(vec![square.clone(), twin], 40, 100);
        for row in 0..40 {
            for column in (0..40).filter(|column| *column != row) {
                let at = (folded.row_of[row].into(), folded.column_of[column].into());
                assert!(!folded.matrices[1].get(at.0, at.1));
                assert_eq!(
                    folded.matrices[0].get(at.0, at.1),
                    square.get(row, column),
                    "{row} {column}"
                );
            }
        }
        assert_eq!((folded.row_of[3], folded.row_of[0], folded.column_of[1]), (1, 0, 0));
        assert_eq!(folded.row_of[3], folded.row_of[4]);
        assert_eq!(folded.column_of[3], folded.column_of[4]);
    }

    #[test]
    fn beyond_the_limit_nothing_is_related() {
        let mut square = BitRows::new(4, 4);
        [(0, 1), (1, 2), (2, 3)].iter().for_each(|(row, column)| square.set(*row, *column));
        let folded = fold(vec![square], 4, 2);
        assert_eq!(folded.row_of, [1, 2, 0, 0]);
        assert!(folded.column_of.iter().all(|column| *column <= 2));
    }
}
