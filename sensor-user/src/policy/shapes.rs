//! What other shapes of a table would cost, for the figures in `docs/policy-engine.md`:
//!
//! ```text
//! cargo test --release -p sensor-user --lib shapes -- --ignored --nocapture
//! ```

use std::collections::HashSet;
use std::time::Instant;

use sensor_ebpf::table::Space;

use super::automaton::Elem;
use super::automaton::dfa::{self, Dfa};
use super::automaton::minimize::minimize;
use super::automaton::nfa::Nfa;
use super::diagnostic::Diagnostics;
use super::rules::{Entry, Resolver, Rules};
use super::{NoHost, Source, Variables, load};

#[path = "../../../tests/policy/generated.rs"]
mod generated;

/// Which of the automata a pattern goes to.
type Part = fn(&Entry) -> usize;

/// As in `table`.
const STATES_MAX: usize = 120_000;

fn entries(text: &str) -> Vec<Entry> {
    let source = Source { name: "mixed.yaml".into(), text: text.into() };
    let variables = Variables::default();
    let mut diagnostics = Diagnostics::default();
    let policy = load::load(&source, &variables, &NoHost, &mut diagnostics).unwrap();
    let mut resolver = Resolver {
        variables: &variables,
        host: &NoHost,
        diagnostics: &mut diagnostics,
        rules: Rules::default(),
    };
    policy.rules.iter().for_each(|rule| resolver.rule(rule));
    resolver.rules.entries.into_iter().filter(|entry| entry.space == Space::Path).collect()
}

/// Whether a pattern has a wildcard before its last element.
fn is_wild(entry: &Entry) -> bool {
    let single = |elem: &Elem| matches!(elem, Elem::Byte(set) if set.iter().count() == 1);
    let [head @ .., _] = entry.elems.as_slice() else {
        return false;
    };
    !head.iter().all(single)
}

/// Minimal automata of the parts into which `part` sorts the patterns, over common classes.
fn automata(entries: &[Entry], parts: usize, part: Part) -> Option<Vec<Dfa>> {
    let mut nfas: Vec<Nfa> = (0..parts).map(|_| Nfa::new()).collect();
    for entry in entries {
        nfas[part(entry)].add(&entry.elems, entry.accept);
    }
    let nfas: Vec<Nfa> = nfas.iter().map(Nfa::reduced).collect();
    let class_of = dfa::byte_classes(&nfas.iter().collect::<Vec<_>>());
    let all = nfas.iter().map(|nfa| dfa::determinize(nfa, &class_of, STATES_MAX));
    all.map(|dfa| dfa.ok().map(|dfa| minimize(&dfa))).collect()
}

/// Bytes of rows: 32-bit entries; 24-bit ones; 16-bit ones that hold blocks of 64 bytes, which is what a
/// table has; 16-bit ones that hold numbers of rows; the same with equal rows stored once; only what
/// differs from a row's most common entry, as (class, entry) pairs behind a check.
fn bytes(dfas: &[Dfa]) -> [usize; 6] {
    let classes = dfas[0].classes;
    let states: usize = dfas.iter().map(Dfa::states).sum();
    let rows =
        dfas.iter().flat_map(|dfa| dfa.next.chunks(classes).map(move |row| (dfa.start, row)));
    let distinct = rows.clone().collect::<HashSet<_>>().len();
    let explicit: usize = rows
        .map(|(_, row)| {
            let most = row.iter().map(|to| row.iter().filter(|other| *other == to).count()).max();
            classes - most.unwrap_or(0)
        })
        .sum();
    [
        states * (3 + classes) * 4,
        states * (12 + classes * 3),
        states * (8 + classes * 2).next_multiple_of(64),
        states * (4 + classes) * 2,
        states * 10 + distinct * classes * 2,
        states * 12 + explicit * 4,
    ]
}

#[test]
#[ignore = "prints figures and asserts nothing"]
fn shapes() {
    println!(
        "| patterns | names | automata | states | compile, ms | 32-bit rows | 24-bit | \
         16-bit, blocks | 16-bit, numbers | equal rows once | only what differs |"
    );
    println!("|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (count, varied) in
        [10, 60, 100, 500, 1000].into_iter().flat_map(|count| [(count, false), (count, true)])
    {
        let entries = entries(&generated::mixed(count, varied));
        let names = if varied { "varied" } else { "lower case" };
        let shapes: [(&str, usize, Part); 3] = [
            ("one", 1, |_| 0),
            ("two", 2, |entry| usize::from(entry.floating)),
            ("three", 3, |entry| if entry.floating { 2 } else { usize::from(is_wild(entry)) }),
        ];
        for (name, parts, part) in shapes {
            let begin = Instant::now();
            let built = automata(&entries, parts, part);
            let time = begin.elapsed().as_secs_f64() * 1e3;
            print!("| {count} | {names} | {name} | ");
            match built {
                None => println!("over {STATES_MAX} | {time:.0} | | | | | | |"),
                Some(dfas) => {
                    let states: Vec<String> = dfas.iter().map(|d| d.states().to_string()).collect();
                    let bytes = bytes(&dfas).map(|bytes| bytes.to_string()).join(" | ");
                    println!("{} | {time:.1} | {bytes} |", states.join(" + "));
                }
            }
        }
    }
}
