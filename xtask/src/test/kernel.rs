//! The tests of the fence: one static program, run as root in a guest of each kernel.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::summary::{Counting, Summary};
use crate::{
    setup::{self, Need, kernels::Kernel},
    vm::{Failure, Input, Machine, Streams, programs},
};

/// Where the program is in the guest.
const PROGRAM: &str = "/usr/local/libexec/picket-kernel-tests";

/// Memory of the guest in MiB. Each policy that is loaded takes four.
const MEMORY: u32 = 1536;

/// Lets tasks pre-empt each other anywhere in the kernel, in the middle of a program too: the way of
/// running that is hardest on per-processor state, and on lookups that may find a lock taken.
const PREEMPTION: &str = "preempt=full";

/// How long one kernel may take. Under emulation on a busy machine a run takes minutes.
const TIME: Duration = Duration::from_secs(8 * 60);

/// Runs the tests on each kernel, whatever the first ones say.
///
/// # Errors
/// When they do not compile, or a guest cannot even be put together.
pub fn run(kernels: &[Kernel], filter: Option<&str>, summary: &mut Summary) -> Result<()> {
    let program = build()?;
    let known = list(&program, filter)?;
    if known == 0 {
        if filter.is_none() {
            bail!("{} has no tests in it", program.display());
        }
        eprintln!("test: no test of the fence has such a name");
        return Ok(());
    }
    let needs: Vec<_> = kernels.iter().map(|kernel| Need::Kernel(*kernel)).collect();
    setup::ensure(&[&[Need::Machine], &needs[..]].concat())?;
    for kernel in kernels {
        on(*kernel, &program, filter, known, summary)?;
    }
    Ok(())
}

/// Runs the tests on one kernel.
fn on(
    kernel: Kernel,
    program: &Path,
    filter: Option<&str>,
    known: u64,
    summary: &mut Summary,
) -> Result<()> {
    let name = format!("kernel {}", kernel.name());
    eprintln!("test: {name}");
    let start = Instant::now();
    let machine = Machine::new(kernel).memory(MEMORY).timeout(TIME).append(PREEMPTION);
    let machine = machine.inject(program, PROGRAM, 0o755)?;
    // One after the other, so that the output of each stands by itself; each has the fence to
    // itself anyway.
    let command = [PROGRAM, "--test-threads=1"].into_iter().chain(filter);
    let (mut stdout, mut stderr) = (Counting::new(io::stdout()), io::stderr());
    let streams = Streams { stdin: Input::Empty, stdout: &mut stdout, stderr: &mut stderr };
    let outcome = machine.run(command, streams);
    let counts = stdout.counts;
    let trouble = match outcome {
        Err(Failure::Interrupted(signal)) => return Err(Failure::Interrupted(signal).into()),
        Err(failure) => {
            eprintln!("test: {name}: {failure}");
            Some(failure.headline())
        }
        Ok(_) if counts.ran() + counts.ignored != known => {
            Some(format!("{known} tests should have run, and {} did", counts.ran()))
        }
        Ok(outcome) if outcome.code != 0 && counts.failed == 0 => {
            Some(format!("the tests ended with code {}", outcome.code))
        }
        Ok(_) => None,
    };
    summary.add(&name, start, counts, trouble);
    Ok(())
}

/// Compiles the tests.
fn build() -> Result<PathBuf> {
    eprintln!("test: building the tests of the fence (static)");
    let mut cargo = programs::cargo("test");
    cargo.args(["--no-run", "--package", "sensor-user", "--test", "kernel"]);
    programs::built(cargo.args(["--features", "kernel-tests"]), "kernel")
}

/// How many tests there are. Listing them needs neither root nor a kernel.
fn list(program: &Path, filter: Option<&str>) -> Result<u64> {
    let output = Command::new(program).args(["--list", "--format=terse"]).args(filter).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|line| line.ends_with(": test")).count() as u64)
}
