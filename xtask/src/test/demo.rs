//! The demo as a test: it judges itself, by what the agent brought about and what was reported.

use std::{env, process::Command, time::Instant};

use anyhow::{Context as _, Result};

use super::summary::{Counts, Summary};
use crate::setup::kernels::Kernel;

/// Runs the demo on each kernel; each counts as one test.
///
/// # Errors
/// When it cannot be started.
pub fn run(kernels: &[Kernel], summary: &mut Summary) -> Result<()> {
    // As a program of its own, because that is what the README tells people to run.
    let own = env::current_exe().context("cannot find this program")?;
    for kernel in kernels {
        let name = format!("demo {}", kernel.name());
        eprintln!("test: {name}");
        let start = Instant::now();
        let status = Command::new(&own).args(["demo", "--kernel", kernel.name()]).status();
        let good = status.with_context(|| format!("cannot start {}", own.display()))?.success();
        let counts = Counts { passed: u64::from(good), failed: u64::from(!good), ignored: 0 };
        summary.add(&name, start, counts, None);
    }
    Ok(())
}
