//! `picket doctor`: whether this machine can enforce, and what to do where it cannot.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use anstyle::AnsiColor;
use sensor_ebpf::table::{H_MAGIC, H_VERSION, HEADER_WORDS, MAGIC};

use crate::kernel::load::Kernel;
use crate::kernel::support::{self, Check};
use crate::launch::{self, Launch, LaunchError};

/// Say whether this machine can enforce policies, per kernel hook, and what is missing and how to
/// get it.
///
/// Loads and attaches every kernel program for a moment, and lets a canary, a process under a
/// policy that allows nothing, try to run a program. Exit code 0 only if all of that works.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut checks = support::checks();
    if checks.iter().all(|check| check.ok) {
        checks.push(canary());
    }
    let enforcing = checks.iter().all(|check| check.ok);
    if args.json {
        let report = serde_json::json!({ "enforcing": enforcing, "checks": checks });
        writeln!(std::io::stdout(), "{report:#}")?;
    } else {
        print(&checks, enforcing)?;
    }
    Ok(ExitCode::from(u8::from(!enforcing)))
}

fn print(checks: &[Check], enforcing: bool) -> std::io::Result<()> {
    let (good, bad) = (AnsiColor::Green.on_default(), AnsiColor::Red.on_default().bold());
    let mut out = anstream::stdout().lock();
    for check in checks {
        let (style, mark) = if check.ok { (good, "ok") } else { (bad, "no") };
        writeln!(out, "{style}{mark}{style:#}  {}: {}", check.what, check.found)?;
        if let Some(remedy) = &check.remedy {
            writeln!(out, "      remedy: {remedy}")?;
        }
    }
    match enforcing {
        true => writeln!(out, "{good}picket can enforce on this machine{good:#}"),
        false => writeln!(out, "{bad}picket cannot enforce on this machine{bad:#}"),
    }
}

/// Enforces for a moment: a process under an empty policy must not be able to run anything.
fn canary() -> Check {
    let what = "canary".to_owned();
    let (ok, found) = match try_canary() {
        Ok(verified) => (true, format!("was refused; {verified} programs are in force")),
        Err(error) => (false, format!("{error:#}")),
    };
    let remedy = (!ok).then(|| "report it with the output of `uname -a`".to_owned());
    Check { what, ok, found, remedy }
}

fn try_canary() -> anyhow::Result<usize> {
    let mut kernel = Kernel::load()?;
    let mut empty = vec![0; HEADER_WORDS as usize];
    empty[H_MAGIC as usize] = MAGIC;
    empty[H_VERSION as usize] = sensor_ebpf::ABI_VERSION;
    kernel.install_policy(0, &empty)?;
    let tag = kernel.add_agent(0, 0, 1)?;
    kernel.attach()?;
    let launch = Launch { program: OsString::from("/bin/true"), args: Vec::new(), user: None };
    let tags = kernel.tags()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let started = runtime.block_on(async { launch::spawn(&launch, tags, tag) });
    match started {
        Err(LaunchError::NotRunnable(..)) => Ok(kernel.hooks().len()),
        Err(error) => Err(anyhow::anyhow!("the canary could not be sent: {error}")),
        Ok(_) => Err(anyhow::anyhow!("a process under an empty policy was not refused")),
    }
}
