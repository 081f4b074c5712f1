//! `cargo xtask verified`: how many instructions the kernel's verifier walks for each program. The
//! counts are kept in a reviewed file, because they show what nothing else does: a program that the
//! compiler has emptied walks a handful, and one that grows comes nearer to the million at which
//! the kernel refuses it.

mod counts;

use std::{fmt::Write as _, fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use counts::{Counts, of};
use serde_json::Value;

use crate::{
    setup::{self, Need, compiler, kernels, kernels::Kernel, linker},
    vm::{Machine, programs},
};

/// Print how many instructions the verifier walks for each program, on each kernel
///
/// Loads the programs in a guest of each kernel. The counts depend on the programs, on the compiler
/// that made them and on the kernel, and on nothing else, so tests/verified/counts.txt keeps them
/// with the versions that they hold for. With --check the exit code is 1 if a count has changed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernels' lines: 6.1, 6.12, 7 [default: all of them]
    #[arg(long = "kernel", value_name = "KERNEL")]
    kernels: Vec<Kernel>,
    /// Compare with the kept counts, and show what has changed
    #[arg(long, conflicts_with = "update")]
    check: bool,
    /// Keep these counts
    #[arg(long, visible_alias = "bless")]
    update: bool,
}

/// The kept counts, below the workspace.
const KEPT: &str = "tests/verified/counts.txt";
/// How to accept what has changed.
const ACCEPT: &str = "cargo xtask verified --update";
/// Where the program is in the guest.
const PROGRAM: &str = "/usr/local/libexec/picket-verified";

/// Runs the verb.
///
/// # Errors
/// When the programs do not compile or load, or the kept counts cannot be read or written.
pub fn main(args: &Args) -> Result<ExitCode> {
    let kernels = if args.kernels.is_empty() { &Kernel::ALL[..] } else { &args.kernels };
    let found = measure(kernels)?;
    if args.check {
        let report = compare(&kept()?, &found);
        eprint!("{}", report.text);
        if report.text.is_empty() {
            eprintln!("verified: nothing has changed");
        }
        return Ok(if report.good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if args.update {
        let path = path();
        // A file that nobody can read is replaced where all of it is measured anew.
        let whole = kernels.len() == Kernel::ALL.len();
        let before = if whole { Counts::default() } else { kept()? };
        let text = before.with(found).text();
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("verified: {KEPT} is up to date; review it with: git diff {KEPT}");
        return Ok(ExitCode::SUCCESS);
    }
    print!("{}", found.text());
    Ok(ExitCode::SUCCESS)
}

/// Compares the programs with the kept counts on one kernel, and says what has changed; whether nothing
/// has that must be accepted.
///
/// # Errors
/// As [`main`].
pub(crate) fn check(kernel: Kernel) -> Result<bool> {
    let report = compare(&kept()?, &measure(&[kernel])?);
    eprint!("{}", report.text);
    Ok(report.good)
}

/// Loads the programs in a guest of each kernel.
fn measure(kernels: &[Kernel]) -> Result<Counts> {
    let needs: Vec<_> = kernels.iter().map(|kernel| Need::Kernel(*kernel)).collect();
    let cache = setup::ensure(&[&[Need::BpfToolchain, Need::Machine], &needs[..]].concat())?;
    let mut counts = Counts::default();
    let compiler = compiler::find().context("the compiler for the kernel programs is gone")?;
    counts.versions.push(("compiler".to_owned(), compiler.version));
    let linker = format!("{} with LLVM {}", linker::VERSION, linker::LLVM);
    counts.versions.push(("bpf-linker".to_owned(), linker));
    let program = programs::built(
        programs::cargo("build").args(["--package", "sensor-user", "--bench", "verified"]),
        "verified",
    )?;
    for kernel in kernels {
        let files = kernels::find(&cache, *kernel).context("a kernel is gone from the cache")?;
        eprintln!("verified: {} ...", files.release);
        let machine = Machine::new(*kernel).inject(&program, PROGRAM, 0o755)?;
        let output = machine.output([PROGRAM])?;
        if output.outcome.code != 0 {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("the programs do not load on {}: {}", files.release, why.trim());
        }
        let value: Value = serde_json::from_slice(&output.stdout)
            .context("the guest's counts are not one line of JSON")?;
        let column: Vec<(String, u32)> = serde_json::from_value(value["verified"].clone())
            .context("the guest's counts are not pairs of a name and a number")?;
        counts.versions.push((kernel.name().to_owned(), files.release));
        counts.columns.push((kernel.name().to_owned(), column));
    }
    Ok(counts)
}

fn path() -> PathBuf {
    programs::workspace().join(KEPT)
}

/// The kept counts.
fn kept() -> Result<Counts> {
    let path = path();
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}; run: {ACCEPT}", path.display()))?;
    Counts::parse(&text)
        .with_context(|| format!("{} is damaged; make it anew: {ACCEPT}", path.display()))
}

/// What a comparison has come to.
struct Report {
    /// Whether nothing has to be accepted.
    good: bool,
    /// What has changed, a line each; empty if nothing has.
    text: String,
}

/// Compares what was found with what is kept, for the kernels that were measured. Where compiler or
/// kernel are not those of the kept counts, other numbers say nothing about the programs: they are
/// told and are no failure. A program that came or went always is one.
fn compare(kept: &Counts, found: &Counts) -> Report {
    let mut report = Report { good: true, text: String::new() };
    let changed = |name: &str| kept.version(name) != found.version(name);
    let tools: Vec<&str> = found
        .versions
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| found.column(name).is_none() && changed(name))
        .collect();
    for (kernel, column) in &found.columns {
        let before = kept.column(kernel).unwrap_or_default();
        let others: Vec<String> = tools
            .iter()
            .copied()
            .chain([kernel.as_str()])
            .filter(|name| changed(name))
            .map(|name| {
                let of = |counts: &Counts| counts.version(name).unwrap_or("nothing").to_owned();
                format!("{} and not {}", of(found), of(kept))
            })
            .collect();
        let mut programs: Vec<&str> = column.iter().map(|(name, _)| name.as_str()).collect();
        let gone = before.iter().map(|(name, _)| name.as_str());
        programs.extend(gone.filter(|name| of(column, name).is_none()));
        for program in programs {
            let line = match (of(before, program), of(column, program)) {
                (Some(old), Some(new)) if old != new => {
                    report.good &= !others.is_empty();
                    let percent = (f64::from(new) / f64::from(old) - 1.0) * 100.0;
                    format!("{old} -> {new} ({percent:+.1} %)")
                }
                (None, Some(new)) => {
                    report.good = false;
                    format!("{new}, a new program")
                }
                (Some(old), None) => {
                    report.good = false;
                    format!("{old} -> no such program")
                }
                _ => continue,
            };
            let _ = writeln!(report.text, "verified: {kernel:<5} {program:<24} {line}");
        }
        if !others.is_empty() {
            let others = others.join(", ");
            let _ = writeln!(report.text, "verified: {kernel:<5} measured with {others}");
        }
    }
    if !report.text.is_empty() {
        let _ = writeln!(report.text, "verified: accept this, after a look at why, with: {ACCEPT}");
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(release: &str, programs: &[(&str, u32)]) -> Counts {
        let column = programs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Counts {
            versions: vec![
                ("compiler".to_owned(), "rustc 1.96.0 (a b)".to_owned()),
                ("6.12".to_owned(), release.to_owned()),
            ],
            columns: vec![("6.12".to_owned(), column)],
        }
    }

    #[test]
    fn a_changed_count_is_a_failure_that_names_it() {
        let kept = counts("6.12.117", &[("file_open", 1000), ("bpf", 7)]);
        assert!(compare(&kept, &kept).good && compare(&kept, &kept).text.is_empty());
        let report = compare(&kept, &counts("6.12.117", &[("file_open", 1100), ("bpf", 7)]));
        assert!(!report.good);
        assert!(report.text.contains("1000 -> 1100 (+10.0 %)"), "{}", report.text);
        assert!(report.text.contains(ACCEPT) && !report.text.contains(" bpf "), "{}", report.text);
        for programs in [&[("bpf", 7)][..], &[("file_open", 1000), ("bpf", 7), ("new", 9)]] {
            assert!(!compare(&kept, &counts("6.12.117", programs)).good);
        }
    }

    #[test]
    fn counts_of_another_kernel_are_told_and_are_no_failure() {
        let kept = counts("6.12.117", &[("file_open", 1000)]);
        let report = compare(&kept, &counts("6.12.118", &[("file_open", 999)]));
        assert!(report.good && report.text.contains("6.12.118 and not 6.12.117"));
        assert!(report.text.contains("1000 -> 999"), "{}", report.text);
        // A program without a counterpart is one on any kernel.
        assert!(!compare(&kept, &counts("6.12.118", &[("bpf", 7)])).good);
    }
}
