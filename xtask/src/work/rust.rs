//! A Rust toolchain for the guest: what compiling takes of the one that compiles Picket, at hand
//! without a network. Debian's would be old, and 500 MB more in everybody's image.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{setup::step::output, vm::programs};

/// The parts, below the toolchain's directory.
const PARTS: [&str; 3] = ["bin/cargo", "bin/rustc", "lib"];

/// What is in `lib` for other purposes: sources, and other machines' libraries.
const LEFT_OUT: [&str; 2] = ["src", "multirust-channel-manifest.toml"];

/// Puts the parts together under `target/work/rust`, by hard links where that can be.
///
/// # Errors
/// Where the compiler does not say where it is, or files cannot be linked or copied.
pub fn stage() -> Result<PathBuf> {
    let said = output(Command::new("rustc").args(["--print", "sysroot"]))
        .context("cannot ask rustc where its toolchain is")?;
    let from = PathBuf::from(said.trim());
    let to = programs::target_dir().join("work").join("rust");
    match fs::remove_dir_all(&to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    for part in PARTS {
        let (source, target) = (from.join(part), to.join(part));
        if !source.exists() {
            bail!("{} is not there; use a toolchain that rustup has installed", source.display());
        }
        copy(&source, &target)?;
    }
    Ok(to)
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
