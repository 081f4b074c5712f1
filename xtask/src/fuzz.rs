//! `cargo xtask fuzz`: libFuzzer against everything that takes bytes from elsewhere. The targets are in
//! `tests/fuzz`; here is only how they are built and run.
//!
//! Instrumenting for libFuzzer takes flags that the stable compiler has (`-C passes`, `-C llvm-args`),
//! so neither a nightly nor a tool beside cargo is needed, only a C++ compiler for libFuzzer itself.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{
    setup::{
        apt::{self, Tool},
        cache::Cache,
    },
    vm::programs,
};

/// Fuzz what takes bytes from elsewhere: policies, patterns, tables, events, subjects
///
/// Each target starts from its seeds in tests/fuzz/seeds and from what earlier runs have found
/// (target/fuzz/corpus). What breaks a target is left in target/fuzz/found, with the command that
/// runs it again; minimised, it belongs among the seeds, where every test run tries it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The target [default: all of them, one after the other]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    target: Option<String>,
    /// How long each target is fuzzed
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Start from this number instead of another one each time
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// Only run the target on this input, and fuzz nothing
    #[arg(long, value_name = "FILE", requires = "target", conflicts_with = "minimize")]
    input: Option<PathBuf>,
    /// Make an input that breaks the target smaller, for at most --seconds
    #[arg(long, value_name = "FILE", requires = "target")]
    minimize: Option<PathBuf>,
}

/// The targets, as `tests/fuzz/targets.rs` has them.
const TARGETS: [&str; 6] = ["api", "policy", "pattern", "table", "event", "subject"];

/// See `tests/fuzz/main.rs`.
const TARGET: &str = "PICKET_FUZZ_TARGET";

/// Compiles libFuzzer.
const COMPILER: Tool = Tool { program: "c++", package: "g++" };

/// What makes code tell libFuzzer where it has been, and what it has compared.
const INSTRUMENTED: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// An input may take so many seconds before it counts as one that hangs.
const HANGS: u32 = 60;
/// An input may take so many MiB before it counts as one that leaks.
const MEMORY: u32 = 2048;
/// Longest input in bytes: larger ones find nothing more, and take longer.
const LENGTH: u32 = 4096;

/// How much of what a fuzzer says is repeated when it breaks.
const LAST_LINES: usize = 30;

/// Runs the verb.
///
/// # Errors
/// When the fuzzers do not compile or cannot be started. A target that breaks is an exit code.
pub fn main(args: &Args) -> Result<ExitCode> {
    let program = build()?;
    let one = args.target.as_deref();
    if let (Some(target), Some(file)) = (one, args.input.as_ref().or(args.minimize.as_ref())) {
        return single(&program, target, file, args);
    }
    let mut good = true;
    for target in one.map_or(TARGETS.to_vec(), |target| vec![target]) {
        good &= fuzz(&program, target, args.seconds, args.seed)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fuzzes every target for a moment, from the same number each time; how many held, and how many did
/// not.
///
/// # Errors
/// As [`main`].
pub(crate) fn smoke(seconds: u64) -> Result<(u64, u64)> {
    let program = build()?;
    let mut counts = (0, 0);
    for target in TARGETS {
        if fuzz(&program, target, seconds, Some(1))? {
            counts.0 += 1;
        } else {
            counts.1 += 1;
        }
    }
    Ok(counts)
}

/// Compiles the fuzzers, in a directory of their own: nothing else is instrumented.
fn build() -> Result<PathBuf> {
    let missing = apt::missing(&[COMPILER]);
    if !missing.is_empty() {
        let cache = Cache::open()?;
        let _lock = cache.lock()?;
        apt::install(&cache, "building libFuzzer", &missing)?;
    }
    eprintln!("fuzz: building the fuzzers");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(programs::workspace());
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_MANIFEST_DIR"]
    {
        cargo.env_remove(name);
    }
    // By the name of a target, so that build scripts and macros are not instrumented.
    cargo.env("RUSTFLAGS", INSTRUMENTED);
    cargo.args(["build", "--package", "sensor-user", "--example", "fuzz"]);
    cargo.args(["--features", "fuzzing", "--target", programs::TRIPLE, "--target-dir"]);
    cargo.arg(home());
    // Fast enough, quick to build, and with every check of a debug build.
    cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "2");
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    cargo.env("PICKET_BPF_TARGET_DIR", programs::target_dir().join("bpf"));
    programs::made(&mut cargo, "fuzz")
}

/// Where the fuzzers are built, and what they find is kept.
fn home() -> PathBuf {
    programs::target_dir().join("fuzz")
}

/// A fuzzer for one target, with what every run of it has.
fn fuzzer(program: &Path, target: &str) -> Result<Command> {
    let found = directory("found", target)?;
    let mut fuzzer = Command::new(program);
    fuzzer.env(TARGET, target).env("RUST_BACKTRACE", "1");
    fuzzer.arg(format!("-timeout={HANGS}")).arg(format!("-rss_limit_mb={MEMORY}"));
    fuzzer.arg(option("-artifact_prefix=", &found.join("")));
    Ok(fuzzer)
}

/// A directory for what the runs of a target leave.
fn directory(kind: &str, target: &str) -> Result<PathBuf> {
    let dir = home().join(kind).join(target);
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// Runs a target on one input, or makes that smaller.
fn single(program: &Path, target: &str, file: &Path, args: &Args) -> Result<ExitCode> {
    let mut fuzzer = fuzzer(program, target)?;
    if args.minimize.is_some() {
        fuzzer.args(["-minimize_crash=1", &format!("-max_total_time={}", args.seconds)]);
    }
    let status = fuzzer.arg(file).status();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fuzzes one target, and says in a line how it went; whether it held.
fn fuzz(program: &Path, target: &str, seconds: u64, seed: Option<u32>) -> Result<bool> {
    let mut fuzzer = fuzzer(program, target)?;
    fuzzer.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={LENGTH}"));
    fuzzer.arg("-print_final_stats=1").args(seed.map(|seed| format!("-seed={seed}")));
    let words = tests().join("words").join(target);
    if words.is_file() {
        fuzzer.arg(option("-dict=", &words));
    }
    // The first directory is where new inputs go.
    fuzzer.arg(directory("corpus", target)?).arg(tests().join("seeds").join(target));
    let log = home().join(format!("{target}.log"));
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    eprintln!("fuzz: {target} for {seconds} s");
    let status = fuzzer.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).status();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if status.success() {
        let of = |name: &str| figure(&said, name).unwrap_or("?").to_owned();
        let (inputs, memory) = (of("number_of_executed_units"), of("peak_rss_mb"));
        eprintln!("fuzz: {target} held: {inputs} inputs, at most {memory} MiB");
        return Ok(true);
    }
    let lines: Vec<&str> = said.lines().collect();
    for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
        eprintln!("    {line}");
    }
    eprintln!("fuzz: {target} broke ({status}); all that it said is in {}", log.display());
    if let Some((_, input)) = said.split_once("Test unit written to ") {
        let input = input.lines().next().unwrap_or_default();
        eprintln!("fuzz: run it again with: cargo xtask fuzz {target} --input {input}");
    }
    Ok(false)
}

/// One of libFuzzer's final figures.
fn figure<'s>(said: &'s str, name: &str) -> Option<&'s str> {
    let line = said.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name))?;
    line.strip_prefix(':').map(str::trim)
}

/// The directory of the targets.
fn tests() -> PathBuf {
    programs::workspace().join("tests/fuzz")
}

/// An option whose value is a path.
fn option(name: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(name);
    argument.push(path);
    argument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_file_and_seeds() {
        for target in TARGETS {
            assert!(tests().join("targets").join(format!("{target}.rs")).is_file(), "{target}");
            assert!(tests().join("seeds").join(target).is_dir(), "{target}");
        }
        let files = fs::read_dir(tests().join("targets")).unwrap().count();
        assert_eq!(files, TARGETS.len(), "a target that nothing runs");
    }

    #[test]
    fn figures_are_found_in_what_the_fuzzer_says() {
        let said = "Done 5 runs\nstat::number_of_executed_units: 342002\nstat::peak_rss_mb:   30\n";
        assert_eq!(figure(said, "number_of_executed_units"), Some("342002"));
        assert_eq!(figure(said, "peak_rss_mb"), Some("30"));
        assert_eq!(figure(said, "number"), None);
    }
}
