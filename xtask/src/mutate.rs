//! `cargo xtask mutate`: what happens to the catalogue of ways around the fence when a hook is taken
//! out. The taking out is done by the tests' own program, in a guest; the product cannot do it.

use std::{io, process::ExitCode, time::Duration};

use anyhow::Result;

use crate::{
    setup::{self, Need, kernels::Kernel},
    test::kernel::Suite,
    vm::{Input, Streams},
};

/// Every hook is taken out once, and with each at least one row is tried.
const TIME: Duration = Duration::from_secs(30 * 60);

/// Take one hook out at a time and show that a way around the fence then opens
///
/// Prints each hook with the rows of `docs/bypass.md` that fail without it. The exit code is 0 only if
/// every hook that was taken out made a row fail.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernel's line: 6.1, 6.12, 7
    #[arg(long, value_name = "KERNEL", default_value = "6.12")]
    kernel: Kernel,
    /// Take only these hooks out [default: all of them]
    hooks: Vec<String>,
}

/// Runs the verb.
///
/// # Errors
/// When the tests do not compile, or do not come to their end.
pub fn main(args: &Args) -> Result<ExitCode> {
    setup::ensure(&[Need::BpfToolchain, Need::Machine, Need::Kernel(args.kernel)])?;
    let programs = Suite::Bypass.build()?;
    let machine = Suite::Bypass.machine(args.kernel, &programs)?.timeout(TIME);
    let own = [Suite::Bypass.program(), "mutate"].map(str::to_owned);
    let command = own.iter().chain(&args.hooks);
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    let streams = Streams { stdin: Input::Empty, stdout: &mut stdout, stderr: &mut stderr };
    let outcome = machine.run(command, streams)?;
    Ok(if outcome.code == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
