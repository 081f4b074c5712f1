//! `cargo bench --bench policy`: how long policies of 10, 60, 100 and 1 000 patterns take to
//! compile, how large their tables are, and what a decision costs natively.

#[path = "generated.rs"]
mod generated;

use std::hint::black_box;
use std::time::{Duration, Instant};

use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_user::policy::{Compiled, NoHost, Options, Source, Variables, compile};

fn main() {
    println!(
        "{:>8} {:>12} {:>10} {:>9} {:>9} {:>8} {:>8} {:>8}",
        "patterns", "compile, ms", "bytes", "anchored", "floating", "classes", "objects", "ns/byte"
    );
    for count in [10, 60, 100, 1000] {
        let text = generated::mixed(count);
        let (compiled, time) = fastest(&text);
        let stats = compiled.stats;
        println!(
            "{count:>8} {:>12.2} {:>10} {:>9} {:>9} {:>8} {:>8} {:>8.2}",
            time.as_secs_f64() * 1e3,
            stats.bytes,
            stats.anchored_states,
            stats.floating_states,
            stats.path_classes,
            stats.object_states,
            per_byte(&compiled),
        );
    }
}

/// The fastest of several runs: what the work takes when nothing else runs.
fn fastest(text: &str) -> (Compiled, Duration) {
    let source = Source { name: "mixed.yaml".into(), text: text.into() };
    let run = || {
        let begin = Instant::now();
        let compiled = compile(&source, &Variables::default(), &NoHost, Options::default());
        let time = begin.elapsed();
        match compiled {
            Ok(compiled) => (compiled, time),
            Err(diagnostics) => panic!("{diagnostics}"),
        }
    };
    let (compiled, first) = run();
    let rest = (0..4).map(|_| run().1);
    (compiled, rest.fold(first, Duration::min))
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
