//! `cargo xtask package`: the Debian package where systemd runs. What is done there and how it is judged is in
//! `tests/package`; here is only what is made for it, and where it runs.

use std::{fs, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    dist,
    setup::{self, Need, kernels::Kernel},
    test::{guest, summary::Summary},
    vm::{Machine, programs},
};

/// Memory of the guest in MiB.
const MEMORY: u32 = 1536;

/// How long one kernel may take. Under emulation systemd alone takes a minute on a busy machine.
const TIME: Duration = Duration::from_secs(15 * 60);

/// Install, upgrade, remove and purge the Debian package in a guest that boots systemd
///
/// Makes the package twice, the second of a later version. An agent is confined from the installation to
/// the removal, and must not get out meanwhile. The last line is `N passed, N failed`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernels' lines to try: 6.1, 6.12, 7
    #[arg(long = "kernel", value_name = "KERNEL", default_value = "6.12")]
    kernels: Vec<Kernel>,
}

/// Runs the verb.
///
/// # Errors
/// When something cannot even be started. Rows that fail are an exit code.
pub fn main(args: &Args) -> Result<ExitCode> {
    let mut summary = Summary::default();
    run(&args.kernels, &mut summary)?;
    Ok(summary.print())
}

/// Runs the rows on each of the kernels.
///
/// # Errors
/// When the packages cannot be made, or a guest cannot even be put together.
pub fn run(kernels: &[Kernel], summary: &mut Summary) -> Result<()> {
    let needs: Vec<_> = kernels.iter().map(|kernel| Need::Kernel(*kernel)).collect();
    setup::ensure(&[&[Need::BpfToolchain, Need::Machine], &needs[..]].concat())?;
    let both = tempfile::Builder::new().prefix("picket-packages-").tempdir()?;
    let place = both.path().join("packages");
    fs::create_dir(&place)?;
    let later = format!("{}+later", env!("CARGO_PKG_VERSION"));
    let mut words = ["python3", "-I", "-B", "/share/package/main.py"].map(str::to_owned).to_vec();
    for version in [None, Some(later.as_str())] {
        let package = dist::make(Some(&place), version)?.swap_remove(0);
        let name = package.file_name().context("the package has no name")?;
        words.push(format!("/share/packages/{}", name.display()));
    }
    for kernel in kernels {
        // One processor: emulated ones take turns anyway.
        let machine = Machine::new(*kernel)
            .smp(1)
            .systemd()
            .memory(MEMORY)
            .timeout(TIME)
            .share(&place)?
            .share(programs::workspace().join("tests/package"))?;
        guest::run(&format!("package {}", kernel.name()), &machine, &words, summary)?;
    }
    Ok(())
}
