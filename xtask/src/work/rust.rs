//! A Rust toolchain for the guest: what compiling takes of the one that compiles Picket, at hand
//! without a network. Debian's would be old, and 500 MB more in everybody's image.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    setup::{cache::Cache, step::output},
    vm::programs,
};

/// The parts, below the toolchain's directory.
const PARTS: [&str; 3] = ["bin/cargo", "bin/rustc", "lib"];

/// What is in `lib` for other purposes: sources, and other machines' libraries.
const LEFT_OUT: [&str; 2] = ["src", "multirust-channel-manifest.toml"];

/// Puts the parts together in a directory `rust` below `target/work`, by hard links where that can be, once
/// for each compiler: whole or not at all, also where several guests want it at once.
///
/// # Errors
/// Where the compiler does not say what and where it is, or files cannot be linked or copied.
pub fn stage() -> Result<PathBuf> {
    let ask = |words: &[&str]| output(Command::new("rustc").args(words));
    let sysroot =
        ask(&["--print", "sysroot"]).context("cannot ask rustc where its toolchain is")?;
    let version = ask(&["--version", "--verbose"]).context("cannot ask rustc for its version")?;
    let words = |key: &str| version.lines().find_map(|line| line.strip_prefix(key));
    let (Some(release), Some(commit)) = (words("release: "), words("commit-hash: ")) else {
        bail!("rustc does not say which it is:\n{version}");
    };
    let entry = format!("rust-{release}-{}", commit.get(..9).unwrap_or(commit));
    let cache = Cache::at(programs::target_dir().join("work"))?;
    let lock = cache.lock()?;
    if !cache.path(&entry).is_dir() {
        cache.publish(&lock, &entry, |room| fill(Path::new(sysroot.trim()), &room.join("rust")))?;
    }
    cache.prune(&lock, "rust", &[&entry])?;
    Ok(cache.path(&entry).join("rust"))
}

fn fill(from: &Path, to: &Path) -> Result<()> {
    for part in PARTS {
        let source = from.join(part);
        if !source.exists() {
            bail!("{} is not there; use a toolchain that rustup has installed", source.display());
        }
        copy(&source, &to.join(part))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.file_name().is_some_and(|name| LEFT_OUT.iter().any(|left| name == *left)) {
        return Ok(());
    }
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if fs::hard_link(from, to).is_err() {
        // Another file system, or a file of somebody else's.
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}
