//! `picket run`.
use std::process::ExitCode;
/// Run a command as a confined agent.
#[derive(Debug, clap::Args)]
pub struct Args {}
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("later")
}
