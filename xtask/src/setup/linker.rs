//! bpf-linker: built once from crates.io against Debian's LLVM, kept in the cache under its
//! version.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{
    apt,
    cache::{Cache, Lock},
    step::{Log, output, step},
};

/// The version that is built.
pub const VERSION: &str = "0.13.0";

/// The major version of the LLVM it is built with; it reads the bitcode of compilers with this one
/// or an older.
pub const LLVM: u32 = 22;

/// What building it takes. `libpolly` because `llvm-config` names it among the libraries to link.
const BUILD_PACKAGES: [&str; 5] =
    ["llvm-22-dev", "libpolly-22-dev", "zlib1g-dev", "libzstd-dev", "libxml2-dev"];

fn entry() -> String {
    format!("bpf-linker-{VERSION}-llvm{LLVM}")
}

/// The linker, where it is in the cache and runs (it loads LLVM as a shared library, which somebody
/// may have removed since).
#[must_use]
pub fn find(cache: &Cache) -> Option<PathBuf> {
    let path = cache.path(&entry()).join("bin/bpf-linker");
    output(Command::new(&path).arg("--version")).is_ok().then_some(path)
}

/// Finds the linker or builds it.
///
/// # Errors
/// When what building takes cannot be installed, and the build's own.
pub fn ensure(cache: &Cache, lock: &Lock) -> Result<PathBuf> {
    if let Some(found) = find(cache) {
        return Ok(found);
    }
    apt::install(cache, "building bpf-linker", &apt::not_installed(&BUILD_PACKAGES))?;
    step(&format!("building bpf-linker {VERSION} from crates.io (a minute or two)"), || {
        cache.publish(lock, &entry(), |dir| build(cache, dir))
    })?;
    Ok(cache.path(&entry()).join("bin/bpf-linker"))
}

fn build(cache: &Cache, root: &Path) -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Flags and wrappers that are meant for the workspace must not reach a tool's build.
    for name in [
        "RUSTC",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_BOOTSTRAP",
        "CARGO_BUILD_TARGET",
    ] {
        cargo.env_remove(name);
    }
    cargo
        .env("CARGO_TARGET_DIR", root.join("build"))
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{LLVM}"));
    cargo.args([
        "install",
        "bpf-linker",
        "--version",
        VERSION,
        "--locked",
        "--no-default-features",
        "--features",
    ]);
    cargo.arg(format!("llvm-{LLVM}")).arg("--root").arg(root);
    Log::begin(cache.log("bpf-linker"))?.run(&mut cargo)?;
    std::fs::remove_dir_all(root.join("build"))?;
    // A linker that cannot find its LLVM at run time must not get into the cache.
    output(Command::new(root.join("bin/bpf-linker")).arg("--version")).map(drop)
}
