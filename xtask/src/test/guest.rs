//! A run of tests in a guest, which prints what Rust's test programs print: shown as it comes, and
//! counted.

use std::{ffi::OsStr, io, time::Instant};

use anyhow::Result;

use super::summary::{Counting, Summary};
use crate::vm::{Failure, Input, Machine, Streams};

/// Runs `words` on `machine` and adds what it counted under `name`.
///
/// # Errors
/// When somebody wants us to stop. Everything else is a failure that the summary tells of.
pub fn run<W: AsRef<OsStr>>(
    name: &str,
    machine: &Machine,
    words: &[W],
    summary: &mut Summary,
) -> Result<()> {
    eprintln!("test: {name}");
    let start = Instant::now();
    let (mut stdout, mut stderr) = (Counting::new(io::stdout()), io::stderr());
    let streams = Streams { stdin: Input::Empty, stdout: &mut stdout, stderr: &mut stderr };
    let outcome = machine.run(words, streams);
    let counts = stdout.counts;
    let trouble = match outcome {
        Err(Failure::Interrupted(signal)) => return Err(Failure::Interrupted(signal).into()),
        Err(failure) => {
            eprintln!("test: {name}: {failure}");
            Some(failure.headline())
        }
        Ok(outcome) if outcome.code != 0 && counts.failed == 0 => {
            Some(format!("it ended with code {}", outcome.code))
        }
        Ok(_) if counts.ran() == 0 => Some("no test ran".to_owned()),
        Ok(_) => None,
    };
    summary.add(name, start, counts, trouble);
    Ok(())
}
