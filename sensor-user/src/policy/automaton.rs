//! From patterns to minimal automata. Knows bytes, strengths and rule numbers; knows nothing of
//! paths, addresses or tables.
//!
//! A pattern is a sequence of [`Elem`]s. All patterns of one automaton share a trie-shaped
//! nondeterministic automaton ([`nfa`]), which is made deterministic ([`dfa`]) and minimal
//! ([`minimize`]).

pub(super) mod dfa;
pub(super) mod minimize;
pub(super) mod nfa;

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) const ALL: ByteSet = ByteSet([u64::MAX; 4]);

    pub(super) fn one(byte: u8) -> ByteSet {
        let mut set = ByteSet::default();
        set.insert(byte);
        set
    }

    /// Every byte from `first` to `last`, both included.
    pub(super) fn range(first: u8, last: u8) -> ByteSet {
        let mut set = ByteSet::default();
        (first..=last).for_each(|byte| set.insert(byte));
        set
    }

    /// What may stand in a name: every byte but `/` and NUL.
    pub(super) fn name() -> ByteSet {
        let mut set = ByteSet::ALL;
        set.remove(b'/');
        set.remove(0);
        set
    }

    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn remove(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] &= !(1 << (byte & 63));
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|byte| self.contains(*byte))
    }
}

/// A set of characters: what `?` and `[…]` stand for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct CharSet {
    /// Ranges of characters beyond ASCII, written as UTF-8; sorted and apart.
    pub beyond: Vec<(char, char)>,
    /// Single bytes: ASCII characters, and bytes of 0x80 and above that stand for themselves.
    pub bytes: ByteSet,
}

/// One element of a pattern.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Elem {
    /// One byte of a set.
    Byte(ByteSet),
    /// One character of a set.
    Char(CharSet),
    /// Any number of bytes that may stand in a name.
    Star,
    /// Anything at all, also nothing.
    Any,
    /// Nothing, or anything that ends with `/`.
    Gap,
    /// Nothing, or `/` and anything; only at a pattern's end.
    Below,
}

/// How strongly a rule speaks: index into [`super::model::RuleKind::ALL`].
pub(super) type Strength = u8;

/// What a pattern says of the subjects that it matches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Accept {
    pub strength: Strength,
    /// Bits of `Rights`.
    pub rights: u16,
    /// The rule's id.
    pub rule: u32,
}

/// What a state says: for each right the strongest word and whose it is; strength + 1, 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub(super) struct Answer(pub [(u8, u32); sensor_ebpf::rights::RIGHTS_MAX]);

impl Answer {
    /// The rights that are said with each strength.
    pub(super) fn masks(&self) -> [u16; 4] {
        let mut masks = [0; 4];
        for (right, (level, _)) in self.0.iter().enumerate() {
            if let Some(mask) = masks.get_mut(usize::from(*level).wrapping_sub(1)) {
                *mask |= 1 << right;
            }
        }
        masks
    }
}
