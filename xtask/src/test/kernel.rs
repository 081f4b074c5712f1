//! The tests of the fence: one static program, run as root in a guest of each kernel.

use std::{
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::summary::{Counting, Summary};
use crate::{
    setup::{self, Need, kernels::Kernel},
    vm::{Failure, Input, Machine, Streams, programs},
};

/// Where the program is in the guest.
const PROGRAM: &str = "/usr/local/libexec/picket-kernel-tests";

/// Memory of the guest in MiB. Each policy that is loaded takes four.
const MEMORY: u32 = 1536;

/// How long one kernel may take. Under emulation on a busy machine a run takes minutes.
const TIME: Duration = Duration::from_secs(20 * 60);

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
    let machine =
        Machine::new(kernel).memory(MEMORY).timeout(TIME).inject(program, PROGRAM, 0o755)?;
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
            Some(headline(&failure))
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

/// The first line.
fn headline(failure: &Failure) -> String {
    failure.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Compiles the tests.
fn build() -> Result<PathBuf> {
    eprintln!("test: building the tests of the fence (static)");
    let mut cargo = programs::cargo("test");
    cargo.args(["--no-run", "--quiet", "--message-format=json-render-diagnostics"]);
    cargo.args(["--package", "sensor-user", "--test", "kernel", "--features", "kernel-tests"]);
    // Emulated, the code for policies is slow without optimisation; the checks of a debug build
    // stay in. What nobody steps through needs no debug information.
    for profile in ["DEV", "TEST"] {
        cargo.env(format!("CARGO_PROFILE_{profile}_OPT_LEVEL"), "1");
        cargo.env(format!("CARGO_PROFILE_{profile}_DEBUG"), "false");
        cargo.env(format!("CARGO_PROFILE_{profile}_STRIP"), "debuginfo");
    }
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no standard output")?;
    let mut program = None;
    for line in BufReader::new(output).lines() {
        program = executable(&line?).or(program);
    }
    if !child.wait()?.success() {
        bail!("the tests of the fence do not compile");
    }
    program.context("cargo does not say where it put the tests of the fence")
}

/// The program that a message of cargo's is about.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == "kernel";
    message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
}

/// How many tests there are. Listing them needs neither root nor a kernel.
fn list(program: &Path, filter: Option<&str>) -> Result<u64> {
    let output = Command::new(program).args(["--list", "--format=terse"]).args(filter).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|line| line.ends_with(": test")).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let message = |name: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"executable":{executable}}}"#
            )
        };
        assert_eq!(executable(&message("kernel", r#""/t/kernel-1""#)), Some("/t/kernel-1".into()));
        assert_eq!(executable(&message("picket", r#""/t/picket""#)), None);
        assert_eq!(executable(&message("kernel", "null")), None);
        assert_eq!(executable("not json"), None);
    }
}
