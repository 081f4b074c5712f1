//! `picket policy remove`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use hyper::Method;

use crate::api::types::Reloaded;
use crate::cli::asking::{self, Daemon};

/// Remove a policy from the daemon's directory.
///
/// Refused while agents are under it. With --force it is removed all the same: the agents stay under
/// it as they are, and no others can be started.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy's name.
    name: String,
    /// Also while agents are under it.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.daemon.client();
    let mut path = super::path_of(&args.name)?;
    if args.force {
        path += "?force=true";
    }
    let nothing = serde_json::json!({});
    let _: Reloaded =
        asking::wait(async { Ok(client.call(Method::DELETE, &path, &nothing).await?) })?;
    writeln!(io::stdout(), "{} is removed", args.name)?;
    Ok(ExitCode::SUCCESS)
}
