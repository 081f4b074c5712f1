//! `cargo xtask work`: ordinary work and misdeeds under the policies that ship, by real programs in
//! a guest. What is done and how it is judged is in `tests/work`; here is only where it runs.

mod rust;

use std::{ffi::OsString, process::ExitCode, time::Duration};

use anyhow::Result;

use crate::{
    setup::{self, Need, kernels::Kernel},
    test::{guest, summary::Summary},
    vm::{Machine, programs},
};

/// Memory of the guest in MiB: a compiler for Rust wants some.
const MEMORY: u32 = 3072;

/// How long one kernel may take. Under emulation on a busy machine a compiler takes minutes.
const TIME: Duration = Duration::from_secs(40 * 60);

/// Do ordinary work, and misdeeds, under each policy that ships
///
/// Git, Python, Node, compilers, editors and the start-up of each agent go through the policy
/// without a single violation; the demo's misdeeds and others are refused. The last line is
/// `N passed, N failed`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernels' lines to try: 6.1, 6.12, 7
    #[arg(long = "kernel", value_name = "KERNEL", default_value = "6.12")]
    kernels: Vec<Kernel>,
    /// Only the policies that tell most
    #[arg(long)]
    core: bool,
    /// Only rows whose names (work::POLICY::GROUP::ROW) contain one of these
    filters: Vec<String>,
}

/// Runs the verb.
///
/// # Errors
/// When something cannot even be started. Rows that fail are an exit code.
pub fn main(args: &Args) -> Result<ExitCode> {
    let mut summary = Summary::default();
    for kernel in &args.kernels {
        run(*kernel, args.core, &args.filters, &mut summary)?;
    }
    Ok(summary.print())
}

/// Runs the rows on one kernel; `core` leaves out the policies that add little to another.
///
/// # Errors
/// When a guest cannot even be put together.
pub fn run(kernel: Kernel, core: bool, filters: &[String], summary: &mut Summary) -> Result<()> {
    setup::ensure(&[Need::BpfToolchain, Need::Machine, Need::Kernel(kernel)])?;
    let root = programs::workspace();
    let toolchain = rust::stage()?;
    // One processor: emulated ones take turns anyway.
    let machine = Machine::new(kernel)
        .smp(1)
        .memory(MEMORY)
        .timeout(TIME)
        .share(root.join("tests/work"))?
        .share(root.join("tests/demo"))?
        .share(root.join("policies"))?
        .share(toolchain)?
        .inject(programs::picket()?, "/usr/local/bin/picket", 0o755)?;
    let mut words: Vec<OsString> = [
        "unshare",
        "--net",
        "python3",
        "-I",
        "-B",
        "/share/work/main.py",
        "--picket=/usr/local/bin/picket",
        "--policies=/share/policies",
        "--rust=/share/rust",
    ]
    .map(Into::into)
    .into();
    words.extend(core.then(|| "--core".into()));
    words.extend(filters.iter().map(Into::into));
    guest::run(&format!("work {}", kernel.name()), &machine, &words, summary)
}
