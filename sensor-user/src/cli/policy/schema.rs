//! `picket policy schema`.

use std::io::Write;
use std::process::ExitCode;

use crate::policy;

/// Print the JSON Schema of policy files, for editors.
///
/// With the schema in `agent-policy.schema.json`, the first line
/// `# yaml-language-server: $schema=agent-policy.schema.json` makes an editor complete and check
/// a policy as it is written.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_: &Args) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&policy::schema())?)?;
    Ok(ExitCode::SUCCESS)
}
