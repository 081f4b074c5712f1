//! `cargo xtask harm`: CPython's own tests and git on a large tree, without Picket and under a policy
//! that allows everything. What is compared is in `tests/work/harm.py`; here is only where it runs.

use std::{ffi::OsString, process::ExitCode, time::Duration};

use anyhow::{Result, bail};

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
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The kernels' lines to try: 6.1, 6.12, 7
    #[arg(long = "kernel", value_name = "KERNEL", default_value = "6.12")]
    kernels: Vec<Kernel>,
    /// Only what is quick
    #[arg(long)]
    bounded: bool,
    /// Of CPython's modules, only tests whose names match, such as '*.WithProcesses*'; may be given
    /// again. A module that takes long can so be cut into several guests
    #[arg(long = "match", value_name = "PATTERN", requires = "modules")]
    matching: Vec<String>,
    /// Only these: git, or modules of CPython's tests such as test_os
    modules: Vec<String>,
}

impl Args {
    /// Only what is quick.
    #[must_use]
    pub fn quick() -> Self {
        Self { bounded: true, ..Self::default() }
    }
}

/// Runs the verb.
///
/// # Errors
/// When something cannot even be started, or git is asked to match names. Harm is an exit code.
pub fn main(args: &Args) -> Result<ExitCode> {
    if !args.matching.is_empty() && args.modules.iter().any(|module| module == "git") {
        bail!("--match is for modules of CPython's tests: run git without it");
    }
    let mut summary = Summary::default();
    for kernel in &args.kernels {
        run(*kernel, args, &mut summary)?;
    }
    Ok(summary.print())
}

/// Compares on one kernel.
///
/// # Errors
/// When a guest cannot even be put together.
pub fn run(kernel: Kernel, args: &Args, summary: &mut Summary) -> Result<()> {
    setup::ensure(&[Need::BpfToolchain, Need::Machine, Need::Kernel(kernel)])?;
    // One processor: emulated ones take turns anyway.
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
    words.extend(args.bounded.then(|| "--bounded".into()));
    words.extend(args.matching.iter().map(|pattern| format!("--match={pattern}").into()));
    words.extend(args.modules.iter().map(Into::into));
    guest::run(&format!("harm {}", kernel.name()), &machine, &words, summary)
}
