//! `cargo xtask setup`: finds or makes what compiling the kernel half and booting test machines
//! takes, in a per-user cache. What each thing is and how it is made lives in the modules below;
//! here is only the order.

pub mod apt;
pub mod archive;
pub mod cache;
pub mod compiler;
pub mod disk;
pub mod kernels;
pub mod linker;
pub mod modules;
pub mod record;
pub mod sources;
pub mod step;
pub mod userland;

use std::process::ExitCode;

use anyhow::Result;
use apt::Tool;
use cache::Cache;
use kernels::Kernel;

/// What running a guest takes.
const MACHINE_TOOLS: [Tool; 2] = [
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Tool { program: "mke2fs", package: "e2fsprogs" },
];

/// Find or install what compiling the kernel programs and booting test machines takes
///
/// That is: a Rust compiler with the sources of core, bpf-linker, QEMU, three kernels and a root
/// file system for guests. What is missing is installed by apt where this is a Debian machine and
/// you are root; what is downloaded or made is kept in a per-user cache ($PICKET_CACHE, else
/// $XDG_CACHE_HOME/picket, else ~/.cache/picket). The second run finds everything there and
/// touches no network.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look for newer kernels than those in the cache
    #[arg(long)]
    refresh: bool,
}

/// Runs the verb.
///
/// # Errors
/// When something is missing and cannot be installed or made.
pub fn main(args: &Args) -> Result<ExitCode> {
    let mut needs = vec![Need::BpfToolchain, Need::Machine];
    needs.extend(Kernel::ALL.map(Need::Kernel));
    let cache = ensure(&needs)?;
    if args.refresh {
        kernels::ensure(&cache, &cache.lock()?, &Kernel::ALL, true)?;
    }
    if let (Some(compiler), Some(linker)) = (compiler::find(), linker::find(&cache)) {
        println!("compiler    {} ({})", compiler.rustc.display(), compiler.version);
        println!("bpf-linker  {}", linker.display());
    }
    for kernel in Kernel::ALL {
        if let Some(files) = kernels::find(&cache, kernel) {
            println!("kernel {:<4} {}", kernel.name(), files.release);
        }
    }
    if let Some(image) = userland::find(&cache) {
        println!("userland    {}", image.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Something that a verb of the workbench cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Compiler, `core` and bpf-linker, and the record that the build script reads.
    BpfToolchain,
    /// QEMU and the guest's root file system.
    Machine,
    /// A kernel to boot.
    Kernel(Kernel),
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
            Need::Machine => machine(&cache)?,
            Need::Kernel(_) => {}
        }
    }
    // All kernels at once: each look into the archive fetches its lists anew.
    let kernels: Vec<_> = needs
        .iter()
        .filter_map(|need| if let Need::Kernel(kernel) = need { Some(*kernel) } else { None })
        .collect();
    if kernels.iter().any(|kernel| kernels::find(&cache, *kernel).is_none()) {
        kernels::ensure(&cache, &cache.lock()?, &kernels, false)?;
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

fn machine(cache: &Cache) -> Result<()> {
    let missing = apt::missing(&MACHINE_TOOLS);
    if missing.is_empty() && userland::find(cache).is_some() {
        return Ok(());
    }
    let lock = cache.lock()?;
    apt::install(cache, "running guests", &missing)?;
    userland::ensure(cache, &lock)
}
