//! The relation by which directories move, against brute force: every suffix, by walking both names
//! through both automata at once until there is nothing new.
//!
//! It may refuse what would be safe, and says how often; it may never allow what is not.

use std::collections::BTreeSet;

use sensor_ebpf::table::{self, CELL, Cells as _, Cursor, ROW_KIND, Space, in_block};
use sensor_user::policy::Compiled;

use super::generated::{Dice, mixed};
use super::support::{FakeHost, compile_text, sound, spec};

/// Pairs of places that are walked before a pair of names is left out.
const WALK_MAX: usize = 30_000;

/// One byte of each class.
fn bytes(table: &[u16]) -> Vec<u8> {
    let classes = Cursor::start(table, Space::Path).classes;
    let mut seen = BTreeSet::new();
    (0..=u8::MAX)
        .filter(|byte| seen.insert(table.cell(classes + u32::from(*byte) * CELL)))
        .collect()
}

/// Whether every suffix behind `from` may take the name that it has behind `to`; `None` if that is
/// too much to walk.
fn every_suffix(table: &[u16], bytes: &[u8], from: Cursor, to: Cursor) -> Option<bool> {
    let key = |from: &Cursor, to: &Cursor| (from.anchored, from.floating, to.anchored, to.floating);
    let mut seen = BTreeSet::from([key(&from, &to)]);
    let mut left = vec![(from, to)];
    while let Some((from, to)) = left.pop() {
        if !to.masks(table).below_within(from.masks(table)) {
            return Some(false);
        }
        if seen.len() > WALK_MAX {
            return None;
        }
        for byte in bytes {
            let (mut from, mut to) = (from, to);
            from.step(table, *byte);
            to.step(table, *byte);
            if seen.insert(key(&from, &to)) {
                left.push((from, to));
            }
        }
    }
    Some(true)
}

/// What both automata's states are equal by.
fn kinds(table: &[u16], cursor: Cursor) -> [u32; 2] {
    [cursor.anchored, cursor.floating].map(|state| table.cell(in_block(state, ROW_KIND)))
}

const NAMES: [&str; 6] = ["a", "b", "ab", "k", ".env", "k.x"];

fn directory(dice: &mut Dice) -> String {
    (0..1 + dice.roll(3)).map(|_| format!("/{}", dice.pick(&NAMES))).collect()
}

/// A policy; `kind` decides which verdicts it has.
fn policy(dice: &mut Dice, kind: usize) -> String {
    let kinds: &[&str] = match kind % 4 {
        0 => &["allow", "allow", "deny"],
        1 => &["allow", "allow", "deny", "audit"],
        2 => &["allow", "allow", "deny", "ask", "audit"],
        _ => &["allow"],
    };
    let mut rules = String::new();
    for _ in 0..2 + dice.roll(9) {
        let verdict = dice.pick(kinds);
        let rights = dice.pick(&[
            "read",
            "read, list",
            "read, write, create, delete, list, link, attr",
            "write, create, delete",
            "write",
            "exec, map",
            "map",
            "delete, create",
        ]);
        let (name, other) = (dice.pick(&NAMES), dice.pick(&NAMES));
        let pattern = match dice.roll(10) {
            0 => format!("**/{name}"),
            1 if *verdict == "deny" || kind.is_multiple_of(3) => format!("**/{name}/**"),
            2 => format!("**/{name}/{other}"),
            3 | 4 => format!("{}/**", directory(dice)),
            5 => format!("/{name}/*/{other}"),
            6 => format!("/{name}/**/{other}"),
            7 => format!("/{name}/**"),
            8 => "/**".to_owned(),
            _ => format!("/{name}/{other}*"),
        };
        let rule = format!("  - {verdict}: [{rights}]\n    paths: ['{pattern}']\n");
        if !rules.contains(&format!("'{pattern}'")) {
            rules += &rule;
        }
    }
    format!("  files:\n{rules}")
}

/// Compares for one policy; counts pairs of names, those that are safe, those that the relation knows to
/// be, those that are too much to walk, and the known ones that are no move between equals.
fn compare(compiled: &Compiled, dice: &mut Dice, names: usize, counts: &mut [usize; 5]) {
    let table = compiled.table.as_slice();
    let bytes = bytes(table);
    for _ in 0..names {
        let (one, other) = (directory(dice) + "/", directory(dice) + "/");
        let at = |name: &str| table::run(table, Space::Path, name.as_bytes());
        let known = at(&one).below_within(table, at(&other));
        counts[4] += usize::from(known && kinds(table, at(&one)) != kinds(table, at(&other)));
        match every_suffix(table, &bytes, at(&one), at(&other)) {
            Some(safe) => {
                assert!(safe || !known, "{one} to {other} gains something\n{:#?}", compiled.rules);
                counts[0] += 1;
                counts[1] += usize::from(safe);
                counts[2] += usize::from(known);
            }
            None => counts[3] += 1,
        }
    }
}

#[test]
fn no_directory_may_move_to_where_anything_below_it_gains() {
    let mut counts = [0; 5];
    for seed in 0..600 {
        let mut dice = Dice::new(seed);
        let compiled = spec(&policy(&mut dice, seed as usize));
        assert!(compiled.stats.relation_complete);
        sound(&compiled);
        compare(&compiled, &mut dice, 40, &mut counts);
    }
    let [all, safe, known, left_out, unequal] = counts;
    println!("{all} pairs, {safe} safe, {known} known, {unequal} unequal, {left_out} left out");
    // Most of what is safe is known to be, and a good part of it is no mere move between equals.
    assert!(all > 20_000 && safe > 3_000 && known * 10 > safe * 8, "{counts:?}");
    assert!(unequal * 10 > known, "{counts:?}");
    assert!(left_out * 50 < all, "{counts:?}");
}

#[test]
fn the_comparison_notices_a_relation_that_says_too_much() {
    // The table of one policy and the suffixes of another: somewhere they must differ.
    let mut noticed = 0;
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let narrow = policy(&mut dice, 0);
        let wide = format!("{narrow}  - allow: [read, write]\n    paths: ['/a/k/x']\n");
        let (narrow, wide) = (spec(&narrow), spec(&wide));
        let at = |compiled: &Compiled, name: &str| {
            table::run(compiled.table.as_slice(), Space::Path, name.as_bytes())
        };
        let known =
            at(&narrow, "/b/k/").below_within(narrow.table.as_slice(), at(&narrow, "/a/k/"));
        let (bytes, table) = (bytes(&wide.table), wide.table.as_slice());
        let safe = every_suffix(table, &bytes, at(&wide, "/b/k/"), at(&wide, "/a/k/"));
        noticed += usize::from(known && safe == Some(false));
    }
    assert!(noticed > 5, "{noticed}");
}

#[test]
fn a_thousand_patterns_of_nearly_all_letters_fit_and_have_a_complete_and_small_relation() {
    let compiled = compile_text(&mixed(1000, true), &FakeHost::default()).unwrap();
    sound(&compiled);
    let stats = compiled.stats;
    assert!(stats.relation_complete && stats.relation_bytes * 20 < stats.bytes, "{stats:?}");
}
