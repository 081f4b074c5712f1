//! `cargo xtask setup`: finds or makes what compiling the kernel half and booting test machines takes, in a per-user
//! cache. What each thing is and how it is made lives in the modules below; here is only the order.

pub mod apt;
pub mod cache;
pub mod compiler;
pub mod linker;
pub mod record;
pub mod sources;
pub mod step;

use std::process::ExitCode;

use anyhow::Result;
use cache::Cache;

/// Find or install what compiling the kernel programs and booting test machines takes
///
/// Looks for a Rust compiler with the sources of core and builds bpf-linker. What is missing is installed by apt where
/// this is a Debian machine and you are root; what is made is kept in a per-user cache ($PICKET_CACHE, else
/// $XDG_CACHE_HOME/picket, else ~/.cache/picket). The second run finds everything there and touches no network.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the verb.
///
/// # Errors
/// When something is missing and cannot be installed or made.
pub fn main(_args: &Args) -> Result<ExitCode> {
    let cache = ensure(&[Need::BpfToolchain])?;
    if let (Some(compiler), Some(linker)) = (compiler::find(), linker::find(&cache)) {
        eprintln!(
            "setup: compiler: {} ({})",
            compiler.rustc.display(),
            compiler.version
        );
        eprintln!("setup: bpf-linker: {}", linker.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Something that a verb of the workbench cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Compiler, `core` and bpf-linker, and the record that the build script reads.
    BpfToolchain,
}

/// Makes sure of everything in `needs`, quietly where it is there.
///
/// # Errors
/// When something is missing and cannot be installed or made.
pub fn ensure(needs: &[Need]) -> Result<Cache> {
    let cache = Cache::open()?;
    for need in needs {
        match need {
            Need::BpfToolchain => bpf_toolchain(&cache)?,
        }
    }
    Ok(cache)
}

fn bpf_toolchain(cache: &Cache) -> Result<()> {
    if let (Some(compiler), Some(linker)) = (compiler::find(), linker::find(cache))
        && record::says(cache, &compiler, &linker)
    {
        return Ok(());
    }
    let lock = cache.lock()?;
    let compiler = compiler::ensure(cache)?;
    let linker = linker::ensure(cache, &lock)?;
    record::write(cache, &lock, &compiler, &linker)
}
