//! `picket policy list`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::api::types::Policy;
use crate::cli::asking::{self, Daemon};

/// List the daemon's policies: the agents under each, the versions in force, and what is wrong.
///
/// Users other than root see those that they are offered.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.daemon.client();
    let policies: Vec<Policy> = asking::wait(async { Ok(client.get("/v1/policies").await?) })?;
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&policies)?)?;
    } else {
        write!(anstream::stdout().lock(), "{}", table(&policies))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(policies: &[Policy]) -> String {
    let (bold, bad) = (Style::new().bold(), AnsiColor::Red.on_default().bold());
    let mut text = format!(
        "{bold}{:<24} {:>6} {:<7} {:<20} FILE{bold:#}\n",
        "POLICY", "AGENTS", "OFFERED", "VERSIONS"
    );
    for policy in policies {
        let versions: Vec<&str> =
            policy.versions.iter().map(|digest| digest.get(..8).unwrap_or(digest)).collect();
        let offered = if policy.offered { "yes" } else { "no" };
        text += &format!(
            "{:<24} {:>6} {offered:<7} {:<20} {}\n",
            policy.name,
            policy.agents,
            versions.join(","),
            policy.file
        );
        if let Some(problem) = &policy.problem {
            let first = problem.lines().next().unwrap_or_default();
            text += &format!(
                "  {bad}the file has mistakes{bad:#}; what was in force still is: {first}\n"
            );
        }
    }
    text
}
