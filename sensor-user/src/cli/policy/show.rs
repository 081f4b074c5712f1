//! `picket policy show`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::api::types::Policy;
use crate::cli::asking::{self, Daemon};

/// Print a policy of the daemon's, as it is in force.
///
/// Where its file has mistakes now, what is printed is the text of before, and the mistakes are on
/// stderr; the exit code is 1 then.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy's name.
    name: String,
    /// Print one JSON object, with the agents under it and its versions.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.daemon.client();
    let path = super::path_of(&args.name)?;
    let policy: Policy = asking::wait(async { Ok(client.get(&path).await?) })?;
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&policy)?)?;
        return Ok(ExitCode::from(u8::from(policy.problem.is_some())));
    }
    write!(io::stdout(), "{}", policy.text.as_deref().unwrap_or_default())?;
    let Some(problem) = &policy.problem else { return Ok(ExitCode::SUCCESS) };
    let file = &policy.file;
    crate::cli::remark(&format!("{file} has mistakes; what was in force still is\n{problem}"));
    Ok(ExitCode::from(1))
}
