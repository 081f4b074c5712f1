//! Which Rust compiler makes the kernel half. It must have the sources of `core` that belong to it
//! (the BPF target has no prebuilt one) and may not have a newer LLVM than bpf-linker, which reads
//! its bitcode. In this order:
//!
//! 1. a rustup nightly that is installed *with* `rust-src`: the pinned one before plain `nightly`;
//! 2. Debian's `rustc-web` where it is installed with `rust-web-src`;
//! 3. the same two by apt, where we may install: smaller and signed by the distribution that the
//!    machine trusts;
//! 4. the pinned nightly by `rustup toolchain install`.
//!
//! A nightly without `rust-src` is never chosen: the sources of another version do not compile with
//! it. Debian's compiler is a stable one, so `RUSTC_BOOTSTRAP=1` opens `-Z build-std` to it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use super::{
    apt,
    cache::Cache,
    linker,
    step::{Log, output, step},
};

/// The nightly to install where rustup is the only way; its LLVM is 22.1.
const PINNED_NIGHTLY: &str = "nightly-2026-05-20";

/// The oldest release that the workspace compiles with (`rust-version` in its manifest).
const MIN_RELEASE: (u32, u32) = (1, 95);

/// Debian's compiler for its own web browsers, and the sources to it.
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A compiler that can make the kernel half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// The compiler itself, not rustup's proxy for it.
    pub rustc: PathBuf,
    /// The cargo that belongs to it; absent where the workspace's own serves.
    pub cargo: Option<PathBuf>,
    /// What it says of itself, for people.
    pub version: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Version {
    release: (u32, u32),
    llvm: u32,
    text: String,
}

/// A usable compiler that is installed already.
#[must_use]
pub fn find() -> Option<Compiler> {
    rustup(PINNED_NIGHTLY)
        .or_else(|| rustup("nightly"))
        .or_else(|| judge(Path::new(DEBIAN_RUSTC), None).ok())
}

/// Finds a usable compiler or installs one.
///
/// # Errors
/// When none can be installed; the message says why for each way, and what to run.
pub fn ensure(cache: &Cache) -> Result<Compiler> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if apt::usable() {
        if apt::candidate(DEBIAN_PACKAGES[0]).is_none() {
            apt::update(cache)?;
        }
        if apt::candidate(DEBIAN_PACKAGES[0])
            .and_then(|version| release(&version))
            .is_some_and(|release| release >= MIN_RELEASE)
        {
            apt::install(cache, "compiling the kernel programs", &DEBIAN_PACKAGES)?;
            return judge(Path::new(DEBIAN_RUSTC), None);
        }
    }
    if let Some(rustup_program) = apt::find_program("rustup") {
        step(&format!("installing {PINNED_NIGHTLY} with rust-src by rustup"), || {
            let mut install = Command::new(&rustup_program);
            install.args([
                "toolchain",
                "install",
                PINNED_NIGHTLY,
                "--profile",
                "minimal",
                "--component",
                "rust-src",
            ]);
            Log::begin(cache.log("rustup"))?.run(&mut install)
        })?;
        if let Some(found) = rustup(PINNED_NIGHTLY) {
            return Ok(found);
        }
    }
    bail!("{}", none_found())
}

fn none_found() -> String {
    let (major, minor) = MIN_RELEASE;
    let debian = match judge(Path::new(DEBIAN_RUSTC), None) {
        Ok(_) => String::new(),
        Err(error) => format!(" ({error})"),
    };
    format!(
        "no Rust compiler for the kernel programs: it takes Rust {major}.{minor} or newer with LLVM {} or older and rust-src{debian}; \
         run: sudo apt-get install {}, or: rustup toolchain install {PINNED_NIGHTLY} --profile minimal --component rust-src",
        linker::LLVM,
        DEBIAN_PACKAGES.join(" "),
    )
}

/// The toolchain of that name, where rustup has it. Asked for its directory rather than through its
/// proxy, so that nothing is downloaded by asking.
fn rustup(toolchain: &str) -> Option<Compiler> {
    let program = apt::find_program("rustup")?;
    let list = output(Command::new(program).args(["toolchain", "list", "--verbose"])).ok()?;
    let bin = toolchain_dir(&list, toolchain)?.join("bin");
    judge(&bin.join("rustc"), Some(bin.join("cargo"))).ok()
}

/// Lines are `nightly-x86_64-unknown-linux-gnu (active, default) /home/me/.rustup/toolchains/...`;
/// a dated name has the host triple after it, and plain `nightly` must not match a dated one.
fn toolchain_dir(list: &str, toolchain: &str) -> Option<PathBuf> {
    list.lines().find_map(|line| {
        let name = line.split_whitespace().next()?;
        let host = name.strip_prefix(toolchain)?.strip_prefix('-')?;
        let dir = &line[line.find(" /")? + 1..];
        (!host.starts_with(|c: char| c.is_ascii_digit())).then(|| PathBuf::from(dir))
    })
}

/// Whether this compiler serves, and why not.
fn judge(rustc: &Path, cargo: Option<PathBuf>) -> Result<Compiler> {
    let ask = |args: &[&str]| output(Command::new(rustc).env_remove("RUSTUP_TOOLCHAIN").args(args));
    let said = ask(&["-vV"])?;
    let Some(version) = parse_version(&said) else {
        bail!("{} does not say its version", rustc.display())
    };
    if version.release < MIN_RELEASE {
        bail!("{} is too old: {}", rustc.display(), version.text);
    }
    if version.llvm > linker::LLVM {
        bail!("{} has LLVM {}, bpf-linker has {}", rustc.display(), version.llvm, linker::LLVM);
    }
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim_end());
    let core = sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml");
    if !core.is_file() {
        bail!("{} has no sources of core: {} is missing", rustc.display(), core.display());
    }
    Ok(Compiler { rustc: rustc.to_owned(), cargo, version: version.text })
}

fn parse_version(verbose: &str) -> Option<Version> {
    let field =
        |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(Version {
        release: release(field("release")?)?,
        llvm: field("LLVM version")?.split('.').next()?.parse().ok()?,
        text: verbose.lines().next()?.to_owned(),
    })
}

/// The first two numbers of a version.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_rustc_prints_them() {
        let said = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        let version = parse_version(said).unwrap();
        assert_eq!((version.release, version.llvm), ((1, 97), 22));
        assert_eq!(parse_version("rustc 1.97.0"), None);
        assert_eq!(release("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
    }

    #[test]
    fn a_toolchain_is_found_by_its_whole_name() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default) /r/toolchains/stable\n\
            nightly-2026-05-20-x86_64-unknown-linux-gnu /r/toolchains/dated one\n\
            nightly-x86_64-unknown-linux-gnu /r/toolchains/nightly\n";
        assert_eq!(toolchain_dir(list, "nightly").unwrap(), Path::new("/r/toolchains/nightly"));
        assert_eq!(
            toolchain_dir(list, "nightly-2026-05-20").unwrap(),
            Path::new("/r/toolchains/dated one")
        );
        assert_eq!(toolchain_dir(list, "beta"), None);
    }

    #[test]
    fn a_compiler_without_its_sources_is_refused() {
        let error = judge(Path::new("/bin/sh"), None).unwrap_err().to_string();
        assert!(error.contains("/bin/sh"), "{error}");
    }
}
