//! What a decision costs natively: the programs' own matcher, in a classifier that `BPF_PROG_TEST_RUN`
//! repeats, under policies of 10 to 1 000 rules; and what those policies come to.
//!
//! `cargo xtask bench --match` runs it, on the machine itself. It needs root and a kernel that runs
//! BPF, which one that cannot enforce does too. Prints one JSON object a line.

#[path = "../policy/generated.rs"]
mod generated;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aya::maps::Array;
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use aya::{Ebpf, EbpfLoader};
use sensor_ebpf::limits::TABLE_CELLS;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_ebpf::verdict::Verdict;
use sensor_user::policy::{Compiled, NoHost, Options, Source, Variables, compile};

/// The kernel programs with the two of `sensor-ebpf/src/bpf/bench.rs` among them.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/picket.bpf.o"));

/// Rules of the policies.
const RULES: [usize; 3] = [10, 100, 1000];

/// Lengths of the paths, in bytes. A test run takes no packet shorter than a frame's header.
const LENGTHS: [usize; 5] = [16, 48, 112, 240, 496];

/// Runs per measurement, and measurements, of which the fastest counts.
const REPEAT: u32 = 200_000;
const ROUNDS: usize = 7;

fn main() -> anyhow::Result<()> {
    let mut ebpf = EbpfLoader::new().allow_unsupported_maps().load(OBJECT)?;
    for name in ["place_subject", "match_subject"] {
        program(&mut ebpf, name)?.load()?;
    }
    for rules in RULES {
        let (policy, time) = compiled(rules)?;
        install(&mut ebpf, &policy)?;
        let mut nanoseconds = Vec::new();
        for length in LENGTHS {
            nanoseconds.push(decision(&mut ebpf, &policy, length)?);
        }
        let (first, last) = (LENGTHS[0], LENGTHS[LENGTHS.len() - 1]);
        let per_byte = (nanoseconds[LENGTHS.len() - 1] - nanoseconds[0]) / (last - first) as f64;
        println!(
            "{}",
            serde_json::json!({
                "rules": rules,
                "lengths": LENGTHS,
                "nanoseconds": nanoseconds,
                "per_byte": per_byte,
                "compile_ms": time.as_secs_f64() * 1e3,
                "stats": policy.stats,
            })
        );
    }
    Ok(())
}

fn program<'e>(ebpf: &'e mut Ebpf, name: &str) -> anyhow::Result<&'e mut SchedClassifier> {
    let program = ebpf.program_mut(name).context("the object has no program for this")?;
    Ok(program.try_into()?)
}

/// A policy of so many rules, and how long it took to compile: the fastest of five times.
fn compiled(rules: usize) -> anyhow::Result<(Compiled, Duration)> {
    let source = Source { name: "mixed.yaml".into(), text: generated::mixed(rules, false) };
    let run = || {
        let begin = Instant::now();
        let compiled = compile(&source, &Variables::default(), &NoHost, Options::default());
        (compiled, begin.elapsed())
    };
    let (compiled, first) = run();
    let compiled = compiled.map_err(|errors| anyhow::anyhow!("{errors}"))?;
    Ok((compiled, (0..4).map(|_| run().1).fold(first, Duration::min)))
}

fn install(ebpf: &mut Ebpf, policy: &Compiled) -> anyhow::Result<()> {
    let mut cells = vec![0_u16; TABLE_CELLS];
    cells[..policy.table.len()].copy_from_slice(&policy.table);
    let cells: Box<[u16; TABLE_CELLS]> = cells.into_boxed_slice().try_into().expect("its length");
    let map = ebpf.map_mut("BENCH_TABLE").context("the object has no table for this")?;
    Ok(Array::<_, [u16; TABLE_CELLS]>::try_from(map)?.set(0, cells, 0)?)
}

/// Nanoseconds for judging a path of this length.
fn decision(ebpf: &mut Ebpf, policy: &Compiled, length: usize) -> anyhow::Result<f64> {
    let path = path(length);
    let options = || TestRunOptions { data_in: Some(&path), ..TestRunOptions::default() };
    let placed = program(ebpf, "place_subject")?.test_run(options())?;
    ensure!(placed.return_value == 0, "the subject could not be placed");
    let judged = policy.judge(Space::Path, &path, Rights::READ).decision.verdict;
    let matching = program(ebpf, "match_subject")?;
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let options = TestRunOptions { repeat: REPEAT, ..options() };
        let run = matching.test_run(options)?;
        let allowed = run.return_value == 0;
        ensure!(allowed == (judged == Verdict::Allow), "kernel and library differ on {path:?}");
        fastest = fastest.min(run.duration);
    }
    Ok(fastest.as_nanos() as f64)
}

/// A path as they are: names of a few letters, and some with dots in them.
fn path(length: usize) -> Vec<u8> {
    let path = b"/home/somebody/.config/application/settings/some.lock-file/var/lib/things.d";
    path.iter().copied().cycle().take(length).collect()
}
