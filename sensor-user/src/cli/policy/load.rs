//! `picket policy load`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use hyper::{Method, StatusCode};

use super::given;
use crate::api::client::ClientError;
use crate::api::types::{PutPolicy, Reloaded};
use crate::cli::asking::{self, Daemon};
use crate::policy;

/// Put a policy into the daemon's directory and in force, or change nothing.
///
/// The file in the directory is named after the policy. Agents under the policy are under the new text
/// when this returns. Exit code 1 if the policy has mistakes or cannot be put in force: then
/// everything is as it was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let source = given::source(&args.file)
        .with_context(|| format!("cannot read the policy {}", args.file.display()))?;
    let Some(name) = policy::name(&source) else {
        bail!(
            "{} has no name in it (metadata.name); `picket policy check {0}` says what is wrong",
            shown(&args.file)
        );
    };
    let client = args.daemon.client();
    let path = super::path_of(&name)?;
    let put = PutPolicy { text: source.text };
    let done = asking::wait(async { Ok(client.call(Method::PUT, &path, &put).await) })?;
    let reloaded: Reloaded = match done {
        Ok(reloaded) => reloaded,
        Err(ClientError::Refused {
            status: StatusCode::BAD_REQUEST | StatusCode::CONFLICT,
            message,
        }) => {
            crate::cli::remark(&message);
            return Ok(ExitCode::from(1));
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&reloaded)?)?;
    } else {
        let moved = reloaded.moved;
        writeln!(io::stdout(), "{name} is in force; {moved} agents were put under it")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}
