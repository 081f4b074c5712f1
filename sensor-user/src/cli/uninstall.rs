//! `picket uninstall`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use crate::daemon::config::Config;
use crate::daemon::removal::{self, Removal};

/// Exit code where it was not wanted after all.
const NOT_WANTED: u8 = 1;

/// Take the fence off the machine: every agent that still runs is free from then on.
///
/// Nothing else does: the fence outlives the daemon, whether that is stopped, killed or upgraded. Says
/// which agents and processes it will release, and asks. The daemon must not run.
///
/// Configuration, policies and the event log stay where they are.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The daemon's configuration [default: /etc/picket/picket.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // SAFETY: takes nothing, cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        bail!("only root may take the fence off");
    }
    let config = Config::read(args.config.as_deref())?;
    let Some(removal) = removal::find(&config)? else {
        writeln!(io::stdout(), "there is no fence here")?;
        return Ok(ExitCode::SUCCESS);
    };
    say(&removal)?;
    if !args.yes && !ask()? {
        writeln!(io::stdout(), "nothing was changed")?;
        return Ok(ExitCode::from(NOT_WANTED));
    }
    removal.carry_out()?;
    // It is, also where nobody reads that.
    let _ = writeln!(io::stdout(), "the fence is off");
    Ok(ExitCode::SUCCESS)
}

/// Says what would be free.
fn say(removal: &Removal) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    if let Some(why) = &removal.unknown {
        writeln!(out, "which agents this releases cannot be told: {why}")?;
    } else if removal.released.is_empty() {
        writeln!(out, "no agent is left in the daemon's fence")?;
    }
    for agent in &removal.released {
        let name = if agent.name.is_empty() { "an agent of unknown name" } else { &agent.name };
        writeln!(out, "releases {name} ({})", agent.id)?;
        for process in &agent.processes {
            writeln!(
                out,
                "  process {} of user {}: {}",
                process.pid, process.uid, process.command
            )?;
        }
    }
    match removal.abandoned() {
        0 => Ok(()),
        count => writeln!(out, "releases what {count} `picket run` left that were killed"),
    }
}

fn ask() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("nobody is there to ask; give --yes");
    }
    let mut out = io::stdout();
    write!(out, "take the fence off? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
