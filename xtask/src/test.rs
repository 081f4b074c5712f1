//! `cargo xtask test`: the tests of the project. First what any machine can run (format, lints, plain
//! tests, each fuzzer for a moment), then the tests of the fence and the demo, in a guest of each kernel,
//! and on one the catalogue of ways around it, and the package where systemd runs. What takes much longer
//! (ordinary work, harm) is added on request. The order of things is here; [`plain`], [`kernel`] and
//! [`demo`] run them, [`summary`] counts.

mod demo;
pub mod guest;
pub(crate) mod kernel;
mod lanes;
mod plain;
pub mod summary;

use std::{process::ExitCode, time::Instant};

use anyhow::Result;

use crate::{
    fuzz, harm, package,
    setup::{self, Need, kernels::Kernel},
    work,
};
use summary::{Counts, Summary};

/// Where work is done under every policy that ships; on the others it is what tells most.
const WORK_KERNEL: Kernel = Kernel::V6_12;

/// Run the tests: format, lints, plain tests; the tests of the fence and the demo on each kernel
///
/// The last line is `N passed, N failed`, over everything. The exit code is 0 only if nothing
/// failed, every part ran tests, and no kernel complained meanwhile.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernels' lines to test on: 6.1, 6.12, 7 [default: all of them]
    #[arg(long = "kernel", value_name = "KERNEL")]
    kernels: Vec<Kernel>,
    /// Run only what needs no guest
    #[arg(long, conflicts_with = "kernels")]
    no_vm: bool,
    /// Run only the tests of the fence
    #[arg(long, conflicts_with = "no_vm")]
    no_plain: bool,
    /// Run only one program of the tests of the fence: kernel, bypass [default: both, but without a
    /// filter bypass on 6.12 only]
    #[arg(long, value_name = "PROGRAM", conflicts_with = "no_vm")]
    suite: Option<kernel::Suite>,
    /// Try the catalogue's open ways around the fence too, which fail as long as they are open, and take
    /// the daemon's figures
    #[arg(long, conflicts_with = "no_vm")]
    open: bool,
    /// Start picket as it is released where tests start it, not as it is quick to build: for figures
    #[arg(long, conflicts_with = "no_vm")]
    release: bool,
    /// Let each of the catalogue's races go on for so long, where two seconds are the rule, and the
    /// daemon's soak, where it is 30
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_vm")]
    soak: Option<u32>,
    /// How many guests to run at once [default: one for each processor]
    #[arg(long, value_name = "N", conflicts_with = "no_vm")]
    guests: Option<usize>,
    /// Also try the catalogue of ways around the fence on each kernel, and do ordinary work under the
    /// policies that ship and CPython's own tests in each guest; takes an hour more
    #[arg(long, conflicts_with_all = ["no_vm", "no_plain", "suite", "filter"])]
    thorough: bool,
    /// Run only tests whose names contain this, and leave format, lints and demo out
    filter: Option<String>,
}

/// Seconds for each fuzzer: a smoke test; `cargo xtask fuzz` takes as long as one likes.
const FUZZING: u64 = 5;

/// Runs the verb.
///
/// # Errors
/// When something cannot even be started. Tests that fail are an exit code.
pub fn main(args: &Args) -> Result<ExitCode> {
    let filter = args.filter.as_deref();
    let mut summary = Summary::default();
    setup::ensure(&[Need::BpfToolchain])?;
    if !args.no_plain {
        plain::run(filter, &mut summary)?;
        if filter.is_none() {
            fuzzers(&mut summary)?;
        }
    }
    if !args.no_vm {
        let kernels = if args.kernels.is_empty() { &Kernel::ALL[..] } else { &args.kernels };
        let lanes = args.guests.unwrap_or_else(lanes::usual);
        let (suite, open, soak, release) = (args.suite, args.open, args.soak, args.release);
        let brief = filter.is_none() && suite.is_none() && !args.thorough;
        let choice = kernel::Choice { kernels, filter, suite, open, soak, release, lanes, brief };
        kernel::run(&choice, &mut summary)?;
        if filter.is_none() && !args.no_plain && args.suite.is_none() {
            if args.thorough {
                verified(kernels, &mut summary)?;
            }
            demo::run(kernels, &mut summary)?;
            package::run(&[WORK_KERNEL], &mut summary)?;
            for kernel in kernels.iter().filter(|_| args.thorough) {
                work::run(*kernel, *kernel != WORK_KERNEL, &[], &mut summary)?;
                harm::run(*kernel, &harm::Args::quick(), &mut summary)?;
            }
        }
    }
    Ok(summary.print())
}

/// Fuzzes each target for a moment; each counts as one test.
fn fuzzers(summary: &mut Summary) -> Result<()> {
    let start = Instant::now();
    let (passed, failed) = fuzz::smoke(FUZZING)?;
    summary.add("fuzzers", start, Counts { passed, failed, ignored: 0 }, None);
    Ok(())
}

/// Compares what the verifier walks with what was reviewed; each kernel counts as one test.
fn verified(kernels: &[Kernel], summary: &mut Summary) -> Result<()> {
    for kernel in kernels {
        let name = format!("verified {}", kernel.name());
        eprintln!("test: {name}");
        let start = Instant::now();
        let good = crate::verified::check(*kernel)?;
        let counts = Counts { passed: u64::from(good), failed: u64::from(!good), ignored: 0 };
        summary.add(&name, start, counts, None);
    }
    Ok(())
}
