//! `cargo bench --bench policy`: how long policies of 10 to 1 000 patterns take to compile,
//! how large their tables are, and what a decision costs natively.

#[path = "generated.rs"]
mod generated;

use std::hint::black_box;
use std::time::{Duration, Instant};

use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_user::policy::{Compiled, Diagnostics, NoHost, Options, Source, Variables, compile};

fn main() {
    println!(
        "{:>8} {:>11} {:>11} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8}",
        "patterns",
        "names",
        "compile, ms",
        "bytes",
        "anchored",
        "floating",
        "classes",
        "objects",
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
                println!(
                    "{count:>8} {names:>11} {milliseconds:>11.2} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8.2}",
                    stats.bytes,
                    stats.anchored_states,
                    stats.floating_states,
                    stats.path_classes,
                    stats.object_states,
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
