//! Character classes: `[a-z]`, `[!a-z]`, and what `?` stands for.

use super::lexer::{Literal, unescape};
use super::{ByteSet, CharSet, Error};

/// Any character but `/` and NUL, and any byte that is not ASCII.
pub(super) fn any() -> CharSet {
    complement(&Listed::default())
}

/// What stands between the brackets.
#[derive(Default)]
struct Listed {
    /// Bytes of 0x80 and above, written `\xHH`: they stand for themselves, not for a character.
    raw: ByteSet,
    /// Ranges of characters.
    chars: Vec<(u32, u32)>,
}

/// Reads the class that `text` begins with, at byte `start` of the pattern; gives its length too.
pub(super) fn parse(text: &str, start: usize) -> Result<(CharSet, usize), Error> {
    let error =
        |from: usize, to: usize, message: &str| Error::new(start + from..start + to, message);
    let rest = |at: usize| text.get(at..).unwrap_or_default();
    if rest(1).starts_with('^') {
        return Err(error(0, 2, "`[^…]` is not part of the language").hint(
            "write `[!…]` for a character that is not in the set, `[\\^…]` for the character `^`",
        ));
    }
    let negated = rest(1).starts_with('!');
    let first = 1 + usize::from(negated);
    let mut at = first;
    let mut listed = Listed::default();
    while !rest(at).starts_with(']') {
        if rest(at).is_empty() {
            return Err(error(0, 1, "`[` without a `]` after it")
                .hint("write `\\[` for the character itself"));
        }
        if rest(at).starts_with("[:") {
            return Err(error(at, at + 2, "named classes are not part of the language")
                .hint("write the range itself, as in `[a-z0-9]`, or `\\[` for the character"));
        }
        let begin = at;
        let (low, length) = bound(rest(at), start + at)?;
        at += length;
        let mut high = low;
        // A `-` before the closing bracket is itself.
        let after = rest(at).strip_prefix('-').unwrap_or("]");
        if !after.is_empty() && !after.starts_with(']') {
            let (bound, length) = bound(after, start + at + 1)?;
            high = bound;
            at += 1 + length;
        }
        listed.add(low, high).map_err(|message| error(begin, at, message))?;
    }
    if at == first {
        return Err(error(0, at + 1, "an empty class matches nothing")
            .hint("write `[\\]…]` for a class with `]` in it"));
    }
    let set = if negated { complement(&listed) } else { collect(&listed) };
    if set.bytes.is_empty() && set.beyond.is_empty() {
        return Err(error(0, at + 1, "the class matches nothing"));
    }
    Ok((set, at + 1))
}

fn bound(text: &str, start: usize) -> Result<(Literal, usize), Error> {
    match text.chars().next() {
        Some('\\') => unescape(text, start),
        Some('/' | '\0') => {
            let message = "no name has a `/` or NUL in it, so it cannot be part of a class";
            Err(Error::new(start..start + 1, message))
        }
        Some(c) => Ok((Literal::Char(c), c.len_utf8())),
        None => Err(Error::new(start..start, "`[` without a `]` after it")),
    }
}

/// Whether it is a byte that is no character, and its number.
fn number(literal: Literal) -> (bool, u32) {
    match literal {
        Literal::Byte(byte) => (byte >= 0x80, u32::from(byte)),
        Literal::Char(c) => (false, u32::from(c)),
    }
}

impl Listed {
    fn add(&mut self, low: Literal, high: Literal) -> Result<(), &'static str> {
        let ((low_raw, low), (high_raw, high)) = (number(low), number(high));
        if low_raw != high_raw {
            return Err("a range goes from character to character or from byte to byte");
        }
        if low > high {
            return Err("the range is the wrong way round");
        }
        if low_raw {
            (low..=high).for_each(|byte| self.raw.insert(byte as u8));
        } else {
            self.chars.push((low, high));
        }
        Ok(())
    }
}

/// The set of what is listed, without `/` and NUL.
fn collect(listed: &Listed) -> CharSet {
    let mut bytes = listed.raw;
    for (low, high) in &listed.chars {
        (*low..=(*high).min(0x7f)).for_each(|byte| bytes.insert(byte as u8));
    }
    bytes.remove(b'/');
    bytes.remove(0);
    let mut beyond: Vec<(u32, u32)> = listed
        .chars
        .iter()
        .filter(|(_, high)| *high >= 0x80)
        .map(|(low, high)| ((*low).max(0x80), *high))
        .collect();
    beyond.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (low, high) in beyond {
        match merged.last_mut() {
            Some(last) if low <= last.1 + 1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    CharSet { beyond: merged.into_iter().flat_map(scalars).collect(), bytes }
}

/// Everything else: characters that are not listed, and bytes beyond ASCII that are not listed.
fn complement(listed: &Listed) -> CharSet {
    let listed = collect(listed);
    let mut bytes = ByteSet::name();
    listed.bytes.iter().for_each(|byte| bytes.remove(byte));
    let mut beyond = Vec::new();
    let mut from = 0x80;
    for (low, high) in &listed.beyond {
        if from < u32::from(*low) {
            beyond.extend(scalars((from, u32::from(*low) - 1)));
        }
        from = u32::from(*high) + 1;
    }
    if from <= u32::from(char::MAX) {
        beyond.extend(scalars((from, u32::from(char::MAX))));
    }
    CharSet { beyond, bytes }
}

/// The range without the surrogates, which are no characters.
fn scalars((low, high): (u32, u32)) -> Vec<(char, char)> {
    [(low, high.min(0xd7ff)), (low.max(0xe000), high)]
        .into_iter()
        .filter(|(low, high)| low <= high)
        .filter_map(|(low, high)| Some((char::from_u32(low)?, char::from_u32(high)?)))
        .collect()
}
