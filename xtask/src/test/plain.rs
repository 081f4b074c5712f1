//! What needs no kernel of its own: format, lints, and the plain tests.

use std::{
    env,
    io::{self, Read as _, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result};

use super::summary::{Counting, Counts, Summary};
use crate::vm::programs;

/// The feature that takes the tests of the fence in. They run elsewhere, and are held to the same
/// lints.
const KERNEL_TESTS: &str = "sensor-user/kernel-tests";

/// Runs all three, whatever the first ones say.
///
/// # Errors
/// When cargo cannot be started.
pub fn run(filter: Option<&str>, summary: &mut Summary) -> Result<()> {
    if filter.is_none() {
        let lints = ["--workspace", "--all-targets", "--features", KERNEL_TESTS];
        check(summary, "format", &["fmt", "--all", "--check"], &[])?;
        check(
            summary,
            "lints",
            &[&["clippy", "--quiet"], &lints[..]].concat(),
            &["-D", "warnings"],
        )?;
    }
    eprintln!("test: plain tests");
    let start = Instant::now();
    let mut cargo = cargo(&["test", "--quiet", "--workspace", "--no-fail-fast", "--"]);
    cargo.args(filter).stdout(Stdio::piped());
    let mut child = cargo.spawn().context("cannot start cargo")?;
    let mut from = child.stdout.take().context("cargo has no standard output")?;
    let mut out = Counting::new(io::stdout());
    // By hand and not by `io::copy`, which would hold back what does not fill a buffer.
    let mut piece = [0; 4096];
    loop {
        match from.read(&mut piece)? {
            0 => break,
            count => out.write_all(&piece[..count]).and_then(|()| out.flush())?,
        }
    }
    let status = child.wait()?;
    let trouble = if !status.success() && out.counts.failed == 0 {
        Some("a test program does not compile or died".to_owned())
    } else if out.counts.ran() == 0 && filter.is_none() {
        Some("no test ran".to_owned())
    } else {
        None
    };
    summary.add("plain", start, out.counts, trouble);
    Ok(())
}

/// One command that says yes or no; counts as one test.
fn check(summary: &mut Summary, name: &str, args: &[&str], more: &[&str]) -> Result<()> {
    eprintln!("test: {name}");
    let start = Instant::now();
    let mut command = cargo(args);
    if !more.is_empty() {
        command.arg("--").args(more);
    }
    let good = command.status().context("cannot start cargo")?.success();
    let counts = Counts { passed: u64::from(good), failed: u64::from(!good), ignored: 0 };
    summary.add(name, start, counts, None);
    Ok(())
}

fn cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(programs::workspace()).stdin(Stdio::null()).args(args);
    // Set by the cargo that runs us; a build script that asks for it would be made anew each time.
    cargo.env_remove("CARGO_MANIFEST_DIR");
    cargo
}
