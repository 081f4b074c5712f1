//! `picket daemon`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use crate::daemon;
use crate::daemon::config::{COMMENTED, Config};
use crate::kernel::support;

/// Run the daemon that owns the fence: policies from a directory, agents, events, the control socket.
///
/// The fence outlives the daemon. Stopped, killed or upgraded, it leaves every agent confined, and
/// the next daemon goes on where it was; `picket uninstall` takes the fence off.
///
/// SIGHUP reads the configuration and the policies again; so does a change in the policy directory.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration [default: /etc/picket/picket.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what is wrong with the configuration, and do nothing else.
    #[arg(long)]
    check_config: bool,
    /// Print the configuration with every key at its default and a comment, and do nothing else.
    #[arg(long, conflicts_with = "check_config")]
    print_config: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.print_config {
        write!(io::stdout(), "{COMMENTED}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = match Config::read(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) if args.check_config => {
            super::remark(&error);
            return Ok(ExitCode::from(1));
        }
        Err(error) => return Err(error.into()),
    };
    if args.check_config {
        writeln!(io::stdout(), "ok")?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(check) = support::obstacle() {
        let remedy = check.remedy.unwrap_or_default();
        bail!("{}: {}; {remedy}", check.what, check.found);
    }
    daemon::run(config, args.config)?;
    Ok(ExitCode::SUCCESS)
}
