//! `cargo bench --bench policy`: how long policies of 10 to 1 000 patterns take to compile,
//! how large their tables are, and what a decision costs natively.
//!
//! `cargo bench --bench policy -- cost 1000 >FILE` writes the policy of `tests/cost` with as many patterns
//! more, for `cargo xtask bench --policy FILE`: what a decision costs in the kernel must not depend on it.

#[path = "generated.rs"]
mod generated;

use std::hint::black_box;
use std::time::{Duration, Instant};

use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_user::policy::{Compiled, Diagnostics, NoHost, Options, Source, Variables, compile};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "cost") {
        let count = args.get(at + 1).and_then(|count| count.parse().ok());
        print!("{}", cost(count.expect("give the number of patterns")));
        return;
    }
    println!(
        "{:>8} {:>11} {:>11} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "patterns",
        "names",
        "compile, ms",
        "bytes",
        "anchored",
        "floating",
        "classes",
        "objects",
        "moves",
        "ns/byte"
    );
    for (count, varied) in
        [10, 60, 100, 500, 1000].into_iter().flat_map(|n| [(n, false), (n, true)])
    {
        let names = if varied { "varied" } else { "lower case" };
        let (result, time) = fastest(&generated::mixed(count, varied));
        let milliseconds = time.as_secs_f64() * 1e3;
        match result {
            Ok(compiled) => {
                let stats = compiled.stats;
                assert!(stats.relation_complete);
                println!(
                    "{count:>8} {names:>11} {milliseconds:>11.2} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8.2}",
                    stats.bytes,
                    stats.anchored_states,
                    stats.floating_states,
                    stats.path_classes,
                    stats.object_states,
                    stats.relation_bytes,
                    per_byte(&compiled),
                );
            }
            Err(diagnostics) => {
                let message = diagnostics.iter().next().map(|d| d.message.clone());
                let message = message.unwrap_or_default();
                println!("{count:>8} {names:>11} {milliseconds:>11.2} refused: {message}");
            }
        }
    }
}

/// The policy that costs are measured under, with `count` patterns more.
fn cost(count: usize) -> String {
    let more = generated::mixed(count, true);
    let rules = |key: &str| {
        let list = more.split(key).nth(1).unwrap_or_default();
        let list = list.split("  network:\n").next().unwrap_or_default();
        list.lines().map(|line| format!("  {line}\n")).collect::<String>()
    };
    include_str!("../cost/policy.yaml")
        .replace("  files:\n", &format!("  files:\n{}", rules("  files:\n")))
        .replace("  network:\n", &format!("  network:\n{}", rules("  network:\n")))
}

/// The fastest of several runs: what the work takes when nothing else runs.
fn fastest(text: &str) -> (Result<Compiled, Diagnostics>, Duration) {
    let source = Source { name: "mixed.yaml".into(), text: text.into() };
    let run = || {
        let begin = Instant::now();
        let result = compile(&source, &Variables::default(), &NoHost, Options::default());
        (result, begin.elapsed())
    };
    let (result, first) = run();
    let rest = (0..4).map(|_| run().1);
    (result, rest.fold(first, Duration::min))
}

/// Nanoseconds per byte of a path, both automata.
fn per_byte(compiled: &Compiled) -> f64 {
    let path = b"/home/somebody/.config/application/settings/some.lock-file";
    let rounds = 200_000;
    let begin = Instant::now();
    for _ in 0..rounds {
        black_box(compiled.judge(Space::Path, black_box(path), Rights::READ));
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(rounds) / path.len() as f64
}
