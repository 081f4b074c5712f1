//! What a move would give away: for people who ask why it is refused. Finds an example where the
//! kernel only needs a bit.

use rustc_hash::FxHashSet;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::{CELL, Cells as _, Cursor, Space, run};

/// Pairs of places that are looked at before the search ends without an answer.
const VISITS_MAX: usize = 200_000;

/// What would be gained by a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gain {
    /// What follows both names where it is gained: nothing for the object itself.
    pub suffix: Vec<u8>,
    /// The rights.
    pub rights: Rights,
}

/// What the object at `from` would gain by the name `to`: the object itself, or the first thing that
/// could be below it if it is a directory. `None` if nothing is found.
pub(super) fn find(table: &[u16], from: &[u8], to: &[u8], directory: bool) -> Option<Gain> {
    let after = |path| run(table, Space::Path, path);
    let (from, to) = (after(from), after(to));
    let rights = to.masks(table).beyond(from.masks(table));
    if !rights.is_empty() {
        return Some(Gain { suffix: Vec::new(), rights });
    }
    directory.then(|| below(table, from, to)).flatten()
}

/// The shortest suffix behind which something is gained.
fn below(table: &[u16], mut from: Cursor, mut to: Cursor) -> Option<Gain> {
    from.step(table, b'/');
    to.step(table, b'/');
    let bytes = representatives(table, from.classes);
    // Each place with the one that it was reached from, and by which byte.
    let mut found = vec![(from, to, 0_usize, b'/')];
    let key = |from: Cursor, to: Cursor| (from.anchored, from.floating, to.anchored, to.floating);
    let mut seen = FxHashSet::from_iter([key(from, to)]);
    let mut at = 0;
    while let Some((from, to, ..)) = found.get(at).copied() {
        let rights = to.masks(table).below_beyond(from.masks(table));
        if at != 0 && found[at].3 != b'/' && !rights.is_empty() {
            return Some(Gain { suffix: suffix(&found, at), rights });
        }
        if found.len() > VISITS_MAX {
            return None;
        }
        for byte in &bytes {
            let (mut from, mut to) = (from, to);
            // No name is empty.
            if found[at].3 == b'/' && *byte == b'/' {
                continue;
            }
            from.step(table, *byte);
            to.step(table, *byte);
            if seen.insert(key(from, to)) {
                found.push((from, to, at, *byte));
            }
        }
        at += 1;
    }
    None
}

/// The bytes on the way to a place.
fn suffix(found: &[(Cursor, Cursor, usize, u8)], mut at: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while at != 0 {
        bytes.push(found[at].3);
        at = found[at].2;
    }
    bytes.push(b'/');
    bytes.reverse();
    bytes
}

/// One byte of each class, letters where there are some, and no NUL, which no name has.
fn representatives(table: &[u16], classes: u32) -> Vec<u8> {
    let mut order: Vec<u8> = (1..=u8::MAX).collect();
    order.sort_by_key(|byte| (!byte.is_ascii_lowercase(), !byte.is_ascii_graphic(), *byte));
    let mut seen = FxHashSet::default();
    order.retain(|byte| seen.insert(table.cell(classes + u32::from(*byte) * CELL)));
    order
}
