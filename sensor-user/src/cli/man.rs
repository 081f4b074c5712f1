//! `picket man`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

/// Write the manual pages, one a verb, made from what `--help` shows.
///
/// The package brings them; this is for who installs by hand.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to; made if it is not there.
    #[arg(value_name = "DIRECTORY")]
    to: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let to = args.to.display();
    fs::create_dir_all(&args.to).with_context(|| format!("cannot make the directory {to}"))?;
    clap_mangen::generate_to(super::Cli::command(), &args.to)
        .with_context(|| format!("cannot write the manual pages to {to}"))?;
    Ok(ExitCode::SUCCESS)
}
