//! `cargo xtask vm`: boots a packaged kernel with a Debian userland and runs one command in it.
//! The verb is here; [`Machine`] is what other verbs use.

mod accel;
pub mod console;
pub mod failure;
mod initramfs;
mod machine;
pub mod programs;
mod qemu;
mod room;
mod session;
mod signals;
pub mod task;
mod terminal;
pub mod wire;

use std::{ffi::OsString, io, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
pub use failure::Failure;
pub use machine::{Machine, Outcome, Output, Streams};
pub use qemu::Accel;
pub use terminal::Input;

use crate::setup::{self, Need, kernels::Kernel};

/// Boot a kernel in QEMU and run a command in it as root
///
/// The guest is a Debian system with the user `agent`, `picket` at /usr/local/bin, and a disk that
/// forgets what is written. Standard input, output and error are the command's, byte for byte; on
/// a terminal it gets one too. The kernel's console goes to target/vm/KERNEL.log.
///
/// The exit code is the command's (128 + n for signal n); 124 when the time is up; 125 when the
/// guest's kernel panicked or printed a warning, even where the command succeeded, or the machine
/// does not start.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernel's line: 6.1, 6.12, 7, or all of them in turn (without standard input)
    #[arg(long, default_value = "6.12", value_parser = parse_kernels)]
    kernel: Kernels,
    /// Processors
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64), value_name = "N")]
    smp: u32,
    /// Make guest time count instructions, one nanosecond each: one processor, same figures on
    /// every run
    #[arg(long, conflicts_with = "smp")]
    icount: bool,
    /// Memory
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..), value_name = "MIB")]
    memory: u32,
    /// Show the guest a directory as it is now, read-only, at /share/NAME
    #[arg(long, value_name = "DIR")]
    share: Vec<PathBuf>,
    /// How long everything may take, boot included
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..), value_name = "SECONDS")]
    timeout: u64,
    /// Parameters to add to the kernel's command line
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    append: Vec<String>,
    /// How to execute instructions [default: kvm where a probe boot works, else tcg]
    #[arg(long, conflicts_with = "icount")]
    accel: Option<Accel>,
    /// Give each emulated processor a thread of its own, so that they race; the guest's kernel may then
    /// panic by the emulator's fault
    #[arg(long, conflicts_with = "icount")]
    parallel: bool,
    /// Boot systemd, and run the command beside it
    #[arg(long)]
    systemd: bool,
    /// Leave picket out, and build nothing of the product
    #[arg(long)]
    no_picket: bool,
    /// Say on standard error how long the boot took
    #[arg(long)]
    times: bool,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

#[derive(Clone, Debug)]
struct Kernels(Vec<Kernel>);

fn parse_kernels(text: &str) -> Result<Kernels, String> {
    if text == "all" {
        return Ok(Kernels(Kernel::ALL.to_vec()));
    }
    let known = Kernel::ALL.into_iter().find(|kernel| kernel.name() == text);
    known.map(|kernel| Kernels(vec![kernel])).ok_or_else(|| "it is 6.1, 6.12, 7 or all".to_owned())
}

/// Runs the verb.
///
/// # Errors
/// When the machine cannot even be put together.
pub fn main(args: &Args) -> Result<ExitCode> {
    let kernels = &args.kernel.0;
    let mut first_failure = 0;
    for kernel in kernels {
        if kernels.len() > 1 {
            eprintln!("== kernel {} ==", kernel.name());
        }
        let stdin = if kernels.len() > 1 { Input::Empty } else { Input::Inherit };
        let code = match run(args, *kernel, stdin) {
            Ok(outcome) => {
                if args.times {
                    eprintln!("vm: booted in {:.2} s", outcome.boot.as_secs_f64());
                }
                u8::try_from(outcome.code).unwrap_or(u8::MAX)
            }
            Err(failure) => {
                eprintln!("vm: {}: {failure}", kernel.name());
                if matches!(failure, Failure::Interrupted(_)) {
                    return Ok(failure.exit_code().into());
                }
                failure.exit_code()
            }
        };
        if first_failure == 0 {
            first_failure = code;
        }
    }
    Ok(first_failure.into())
}

fn run(args: &Args, kernel: Kernel, stdin: Input) -> Result<Outcome, Failure> {
    let machine = build(args, kernel)?;
    // Unlocked and unbuffered: what the command writes must be seen when it writes it.
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    machine.run(&args.command, Streams { stdin, stdout: &mut stdout, stderr: &mut stderr })
}

fn build(args: &Args, kernel: Kernel) -> Result<Machine> {
    let mut machine = Machine::new(kernel).smp(args.smp).memory(args.memory);
    machine = machine.timeout(Duration::from_secs(args.timeout));
    if args.icount {
        machine = machine.icount();
    }
    if args.parallel {
        machine = machine.parallel();
    }
    if let Some(accel) = args.accel {
        machine = machine.accel(accel);
    }
    if args.systemd {
        machine = machine.systemd();
    }
    for dir in &args.share {
        machine = machine.share(dir)?;
    }
    for parameters in &args.append {
        machine = machine.append(parameters);
    }
    if args.no_picket {
        return Ok(machine);
    }
    setup::ensure(&[Need::BpfToolchain])?;
    machine.inject(programs::picket()?, "/usr/local/bin/picket", 0o755)
}
