//! `cargo xtask demo`: an agent that works and then goes astray, under Picket, on this machine or
//! in a VM. The verb is here; what the agent does is in `tests/demo`.

mod place;
mod score;
mod screen;
mod teller;
mod tidings;

use std::{io::Write as _, process::ExitCode};

use anyhow::{Result, bail};
use place::Place;
use teller::Teller;

use crate::{setup::kernels::Kernel, vm::Failure};

/// Exit codes above it are those of signals.
const INTERRUPTED: i32 = 128;

/// Watch an agent work, and go astray, under Picket
///
/// A scripted stand-in for an agent, made of real programs, clones a repository, mends, builds and
/// commits, all of which must pass. Then it reaches for keys, runs and loads what it may not,
/// deletes, connects and traces, none of which may. Each of these is first made free of Picket, as
/// a control, and is judged by its effect. The policy is policies/demo.yaml.
///
/// Runs here where this kernel can enforce and you are root, else in a VM, and says which and why.
/// Nothing of yours is touched: the agent gets a home, a workspace and a network of its own.
///
/// The exit code is 0 only if all honest work passed, and everything else worked without Picket,
/// was blocked with it, and was reported.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run in a VM with this kernel
    #[arg(long)]
    kernel: Option<Kernel>,
    /// Run on this machine, or say why that cannot be
    #[arg(long, conflicts_with = "kernel")]
    here: bool,
    /// Print what happens as JSON, one object a line, and nothing else
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
///
/// # Errors
/// When there is no place to run it, or it does not come to its end.
pub fn main(args: &Args) -> Result<ExitCode> {
    let place = place::choose(args.kernel, args.here)?;
    // A machine of one's own may lack something; the guest is made to have it all.
    let may_skip = matches!(place, Place::Here { .. });
    let mut teller = Teller::new(anstream::stdout(), args.json, may_skip);
    if !args.json {
        writeln!(anstream::stdout(), "{}", screen::introduction(&place))?;
    }
    let code = match place::run(&place, &mut teller) {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<Failure>() {
            Some(failure @ Failure::Interrupted(_)) => failure.exit_code().into(),
            _ => return Err(error),
        },
    };
    if code > INTERRUPTED {
        return Ok(u8::try_from(code).unwrap_or(u8::MAX).into());
    }
    if !teller.finish()? || code != 0 {
        bail!("the demo did not come to its end (exit code {code})");
    }
    Ok(if teller.score().good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
