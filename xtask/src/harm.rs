//! `cargo xtask harm`: CPython's own tests and git on a large tree, without Picket and under a policy
//! that allows everything. What is compared is in `tests/work/harm.py`; here is only where it runs.

use std::{ffi::OsString, process::ExitCode, time::Duration};

use anyhow::Result;

use crate::{
    setup::{self, Need, kernels::Kernel},
    test::{guest, summary::Summary},
    vm::{Machine, programs},
};

/// Memory of the guest in MiB.
const MEMORY: u32 = 2048;

/// How long one kernel may take.
const TIME: Duration = Duration::from_secs(4 * 60 * 60);

/// Look for harm to ordinary work, under a policy that allows everything
///
/// Runs modules of CPython's own tests, and git on a large tree, without Picket and under it, and
/// compares every outcome. All of it takes more than an hour a kernel under emulation; `--bounded`
/// is what `cargo xtask test` runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernels' lines to try: 6.1, 6.12, 7
    #[arg(long = "kernel", value_name = "KERNEL", default_value = "6.12")]
    kernels: Vec<Kernel>,
    /// Only what is quick
    #[arg(long)]
    bounded: bool,
    /// Only these: git, or modules of CPython's tests such as test_os
    modules: Vec<String>,
}

/// Runs the verb.
///
/// # Errors
/// When something cannot even be started. Harm is an exit code.
pub fn main(args: &Args) -> Result<ExitCode> {
    let mut summary = Summary::default();
    for kernel in &args.kernels {
        run(*kernel, args.bounded, &args.modules, &mut summary)?;
    }
    Ok(summary.print())
}

/// Compares on one kernel.
///
/// # Errors
/// When a guest cannot even be put together.
pub fn run(kernel: Kernel, bounded: bool, modules: &[String], summary: &mut Summary) -> Result<()> {
    setup::ensure(&[Need::BpfToolchain, Need::Machine, Need::Kernel(kernel)])?;
    // One processor, as in the demo: see there.
    let machine = Machine::new(kernel)
        .smp(1)
        .memory(MEMORY)
        .timeout(TIME)
        .share(programs::workspace().join("tests/work"))?
        .inject(programs::picket()?, "/usr/local/bin/picket", 0o755)?;
    let mut words: Vec<OsString> = [
        "unshare",
        "--net",
        "python3",
        "-I",
        "-B",
        "/share/work/harm.py",
        "--picket=/usr/local/bin/picket",
    ]
    .map(Into::into)
    .into();
    words.extend(bounded.then(|| "--bounded".into()));
    words.extend(modules.iter().map(Into::into));
    guest::run(&format!("harm {}", kernel.name()), &machine, &words, summary)
}
