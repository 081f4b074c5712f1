//! `picket policy`: verbs about policy files, which need no root and no kernel, and about the policies
//! of a daemon.

mod check;
pub(super) mod given;
mod list;
mod load;
mod remove;
mod schema;
mod show;

use std::process::ExitCode;

/// Check policy files, describe their form, and see to the policies of the daemon.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Check(check::Args),
    Schema(schema::Args),
    List(list::Args),
    Show(show::Args),
    Load(load::Args),
    Remove(remove::Args),
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Check(args) => check::run(args),
        Verb::Schema(args) => schema::run(args),
        Verb::List(args) => list::run(args),
        Verb::Show(args) => show::run(args),
        Verb::Load(args) => load::run(args),
        Verb::Remove(args) => remove::run(args),
    }
}

/// Where the daemon answers for a policy.
fn path_of(name: &str) -> anyhow::Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        anyhow::bail!("{name:?} cannot be the name of a policy: letters, digits, `-`, `_` and `.`");
    }
    Ok(format!("/v1/policies/{name}"))
}
