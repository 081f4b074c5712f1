//! What is right by the language and probably not meant: rules written twice, rules that a deny
//! covers whole, programs that may run and cannot start.

use std::collections::{BinaryHeap, HashMap, HashSet};

use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::{CELL, Cells as _, Cursor, Space};

use super::automaton::dfa::byte_classes;
use super::automaton::nfa::Nfa;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::model::RuleKind;
use super::rules::{Entry, RuleInfo, Rules};

/// Pairs of states that are visited for one rule before it is taken to be reachable. Rules that a
/// deny covers need a few hundred at most; what needs more is rarely covered.
const VISITS_MAX: usize = 5_000;

/// Reports patterns that one file has twice in one section with the same verdict and rights. Two
/// files may say the same: they are made to be combined.
pub(super) fn duplicates(rules: &Rules, diagnostics: &mut Diagnostics) {
    let mut seen = HashMap::new();
    for (info, span) in rules.infos.iter().zip(&rules.spans) {
        let key = (span.file, info.section, info.kind, info.rights, &info.pattern);
        if let Some(first) = seen.get(&key) {
            diagnostics.push(
                Diagnostic::error(
                    *span,
                    format!("`{}` is here twice with the same rights", info.pattern),
                )
                .related(*first, "first here")
                .hint("remove one"),
            );
        } else {
            seen.insert(key, *span);
        }
    }
}

/// Warnings about a policy whose table is made.
pub(super) fn warnings(rules: &Rules, table: &[u16], diagnostics: &mut Diagnostics) {
    covered(rules, table, diagnostics);
    cannot_start(rules, table, diagnostics);
}

/// Warns of rules that can never have an effect, because denials cover them whole.
fn covered(rules: &Rules, table: &[u16], diagnostics: &mut Diagnostics) {
    if !rules.infos.iter().any(|info| info.kind == RuleKind::Deny) {
        return;
    }
    let mut by_rule: Vec<Vec<&Entry>> = vec![Vec::new(); rules.infos.len()];
    for entry in &rules.entries {
        by_rule[entry.accept.rule as usize - 1].push(entry);
    }
    for ((info, span), entries) in rules.infos.iter().zip(&rules.spans).zip(by_rule) {
        if info.kind == RuleKind::Deny {
            continue;
        }
        let denial = entries
            .iter()
            .try_fold(None, |_, entry| always_denied(entry, info.rights, table).map(Some));
        let Some(Some(denial)) = denial else {
            continue;
        };
        let mut diagnostic = Diagnostic::warning(
            *span,
            format!(
                "the rule can never have an effect: whatever `{}` matches is denied",
                info.pattern
            ),
        )
        .hint("remove it, or narrow the deny: a deny beats every other rule");
        if let Some(span) = rules.spans.get((denial as usize).wrapping_sub(1)) {
            diagnostic = diagnostic.related(*span, "denied here");
        }
        diagnostics.push(diagnostic);
    }
}

/// The id of a rule that denies what `entry` matches, if every subject that it matches is denied
/// all of `rights`.
fn always_denied(entry: &Entry, rights: Rights, table: &[u16]) -> Option<u32> {
    let mut nfa = Nfa::new();
    nfa.add(&entry.elems, entry.accept);
    let closures = nfa.closures();
    let bytes = representatives(&nfa, table, entry.space);
    let mut found = vec![(closures[0].clone(), Cursor::start(table, entry.space))];
    // The furthest along the pattern first: it leads to a match in as many steps as that is long.
    let mut left = BinaryHeap::from([(0, 0)]);
    let mut seen = HashSet::new();
    let mut denial = None;
    while let Some((_, at)) = left.pop() {
        let (nodes, cursor) = found[at].clone();
        if nodes.iter().any(|n| !nfa.nodes[*n as usize].accepts.is_empty()) {
            if !cursor.masks(table).deny.contains(rights) {
                return None;
            }
            let right = Rights(rights.0 & rights.0.wrapping_neg());
            denial.get_or_insert(cursor.rule(table, right));
        }
        if seen.len() > VISITS_MAX {
            return None;
        }
        for byte in &bytes {
            let next = step(&nfa, &closures, &nodes, *byte);
            let mut cursor = cursor;
            cursor.step(table, *byte);
            let furthest = next.last().copied();
            if let Some(furthest) = furthest
                && seen.insert((next.clone(), cursor.anchored, cursor.floating))
            {
                left.push((furthest, found.len()));
                found.push((next, cursor));
            }
        }
    }
    denial
}

/// The nodes that `byte` leads to, in order.
fn step(nfa: &Nfa, closures: &[Vec<u32>], nodes: &[u32], byte: u8) -> Vec<u32> {
    let mut next: Vec<u32> = nodes
        .iter()
        .flat_map(|node| &nfa.nodes[*node as usize].edges)
        .filter(|(set, _)| set.contains(byte))
        .flat_map(|(_, to)| closures[*to as usize].iter().copied())
        .collect();
    next.sort_unstable();
    next.dedup();
    next
}

/// One byte of each set that neither the pattern nor the table tells apart.
fn representatives(nfa: &Nfa, table: &[u16], space: Space) -> Vec<u8> {
    let classes = Cursor::start(table, space).classes;
    let own = byte_classes(&[nfa]);
    let mut seen = HashSet::new();
    (0..=u8::MAX)
        .filter(|byte| {
            let at = usize::from(*byte);
            seen.insert((own.get(at), table.cell(classes + u32::from(*byte) * CELL)))
        })
        .collect()
}

/// Where the dynamic linker and the C library are on common systems.
const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// Warns of a policy under which programs may run and none can start, because no library that it
/// needs can be mapped.
fn cannot_start(rules: &Rules, table: &[u16], diagnostics: &mut Diagnostics) {
    let gives = |info: &RuleInfo, rights: Rights| {
        matches!(info.kind, RuleKind::Allow | RuleKind::Audit) && info.rights.intersects(rights)
    };
    let first =
        rules.infos.iter().position(|info| info.section == "exec" && gives(info, Rights::EXEC));
    let elsewhere = rules
        .infos
        .iter()
        .any(|info| info.section == "files" && gives(info, Rights::READ | Rights::MAP));
    let mapped = LIBRARIES.iter().any(|path| {
        let cursor = sensor_ebpf::table::run(table, Space::Path, path.as_bytes());
        cursor.masks(table).granted().contains(Rights::MAP)
    });
    if let Some(span) = first.and_then(|at| rules.spans.get(at))
        && !elsewhere
        && !mapped
    {
        let message = "programs may run, and no library that they are linked with can be mapped";
        diagnostics.push(
            Diagnostic::warning(*span, message)
                .hint("add `- allow: [read, list]` with `paths: [\"/usr/**\", \"/etc/ld.so.*\"]` under `files`"),
        );
    }
}
