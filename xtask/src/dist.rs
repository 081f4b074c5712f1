//! `cargo xtask dist`: what users install, from one static program: a Debian package, a tarball, a
//! bill of materials and checksums. The verb is here; [`stage`] lays the files out, [`sbom`] lists
//! what was built in.

mod sbom;
mod stage;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::{
    setup::{self, Need, apt},
    vm::programs,
};

/// The architecture as Debian and as the rest of the world call it.
const DEBIAN_ARCH: &str = "amd64";
/// See [`DEBIAN_ARCH`].
const ARCH: &str = "x86_64";

/// Make what users install: a Debian package, a tarball, their checksums and a bill of materials
///
/// The same commit gives the same bytes: files bear the time of the commit, and archives are sorted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to put it [default: dist in the target directory]
    #[arg(long, value_name = "DIRECTORY")]
    to: Option<PathBuf>,
    /// The version to build and to call it [default: the workspace's]
    #[arg(long, value_name = "VERSION")]
    as_version: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When something does not compile, or a tool that makes archives fails.
pub fn main(args: &Args) -> Result<ExitCode> {
    for file in make(args.to.as_deref(), args.as_version.as_deref())? {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes all of it; the files made, the package first.
///
/// # Errors
/// As [`main`].
pub fn make(to: Option<&Path>, version: Option<&str>) -> Result<Vec<PathBuf>> {
    // A program without its kernel programs is nothing to install.
    setup::ensure(&[Need::BpfToolchain])?;
    let to = to.map_or_else(|| programs::target_dir().join("dist"), Path::to_owned);
    fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
    let picket = version.map_or_else(programs::picket, programs::picket_as)?;
    let version = version.unwrap_or(env!("CARGO_PKG_VERSION"));
    let time = commit_time()?;
    let work = tempfile::tempdir_in(&to).context("cannot make a working directory")?;

    let bill = to.join(format!("picket-{version}.cdx.json"));
    fs::write(&bill, sbom::of("sensor-user", &time)?)?;

    let root = work.path().join("package");
    stage::package(&picket, &root, version, DEBIAN_ARCH)?;
    let package = to.join(format!("picket_{version}_{DEBIAN_ARCH}.deb"));
    run(Command::new(apt::program("dpkg-deb")?)
        .args(["--root-owner-group", "-Zxz", "--build"])
        .args([&root, &package])
        .env("SOURCE_DATE_EPOCH", &time))?;

    let name = format!("picket-{version}-{ARCH}-linux");
    stage::tree(&picket, &work.path().join(&name))?;
    let tarball = to.join(format!("{name}.tar.gz"));
    run(Command::new("tar")
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"])
        .args([format!("--mtime=@{time}"), "--use-compress-program=gzip -n9".to_owned()])
        .arg("--create")
        .arg("--file")
        .arg(&tarball)
        .arg("--directory")
        .args([work.path(), Path::new(&name)]))?;

    let files = vec![package, tarball, bill];
    let sums = to.join("SHA256SUMS");
    fs::write(&sums, checksums(&files)?)?;
    Ok([files, vec![sums]].concat())
}

/// Seconds since 1970 of the commit that is built.
fn commit_time() -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(programs::workspace()).args(["log", "-1", "--format=%ct"]);
    let output = git.output().context("cannot start git")?;
    ensure!(output.status.success(), "git does not know when this was committed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// As `sha256sum` writes and checks them.
fn checksums(files: &[PathBuf]) -> Result<String> {
    let mut lines = String::new();
    for file in files {
        let digest = Sha256::digest(fs::read(file)?);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        lines += &format!("{hex}  {name}\n");
    }
    Ok(lines)
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    // What it prints of itself is no result of ours.
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", said.trim());
    Ok(())
}
