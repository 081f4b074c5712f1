//! `picket policy`: verbs about policy files. Needs no root and no kernel.

mod check;
pub(super) mod given;
mod schema;

use std::process::ExitCode;

/// Check policy files, and describe their form.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Check(check::Args),
    Schema(schema::Args),
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Check(args) => check::run(args),
        Verb::Schema(args) => schema::run(args),
    }
}
