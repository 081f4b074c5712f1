//! The command line: one verb a file. The only module that prints.

mod asking;
mod attach;
mod completions;
mod daemon;
mod doctor;
mod explain;
mod man;
mod policy;
mod ps;
mod run;
mod status;
mod tail;
mod uninstall;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::kernel::object::VERSION;

/// Confines AI-agent processes: every file, socket and exec operation of an agent is judged in the
/// kernel against its policy.
#[derive(Debug, Parser)]
#[command(name = "picket", version = VERSION, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Attach(attach::Args),
    Daemon(daemon::Args),
    Tail(tail::Args),
    Ps(ps::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Uninstall(uninstall::Args),
    Explain(explain::Args),
    Policy(policy::Args),
    Completions(completions::Args),
    Man(man::Args),
    /// The daemon's own: what a canary does.
    #[command(name = crate::canary::ARGUMENT, hide = true)]
    Canary {
        /// A directory to try things in.
        cage: std::path::PathBuf,
    },
}

/// Exit code of a failure of picket itself, as `env(1)`, `timeout(1)` and others use it, so that it
/// is told apart from the codes of a command that it runs.
const FAILED: u8 = 125;

/// Exit code after a closed pipe: what a shell says of a program that SIGPIPE ended, as it ends most.
const CLOSED_PIPE: u8 = 128 + 13;

/// Parses the command line and runs its verb.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Run(args) => run::run(args),
        Verb::Attach(args) => attach::run(&args),
        Verb::Daemon(args) => daemon::run(args),
        Verb::Canary { cage } => crate::canary::probes::sing(&cage).map(|()| ExitCode::SUCCESS),
        Verb::Tail(args) => tail::run(&args),
        Verb::Ps(args) => ps::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Uninstall(args) => uninstall::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Policy(args) => policy::run(&args),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::from(CLOSED_PIPE);
        }
        let style = anstyle::AnsiColor::Red.on_default().bold();
        remark(&format!("{style}picket{style:#}: {error:#}"));
        ExitCode::from(FAILED)
    })
}

/// Prints a line on standard error. Where nobody reads it the exit code has to say it.
fn remark(line: &dyn Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Whether a verb ended because nobody reads any more what it prints, as in `picket … | head`. What went
/// wrong with another pipe says more than that of itself.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    let bare = error.chain().nth(1).is_none();
    bare && io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
