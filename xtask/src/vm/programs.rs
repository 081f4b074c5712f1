//! The programs that go into a guest, built static, so that they run on any root file system. They
//! have a target directory of their own: with other flags in the ordinary one, each `cargo build`
//! would undo the other's work.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The platform that programs are built for; by its name, flags for them do not reach build scripts.
pub(crate) const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The directory of the workspace's manifest.
#[must_use]
pub fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The target directory that this program was built in, wherever it was configured to be.
#[must_use]
pub fn target_dir() -> PathBuf {
    let own = env::current_exe().ok();
    let marked = own
        .as_deref()
        .and_then(|exe| exe.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file()));
    marked.map_or_else(|| workspace().join("target"), Path::to_owned)
}

/// The `picket` program, as released.
///
/// # Errors
/// When it does not compile.
pub fn picket() -> Result<PathBuf> {
    build("sensor-user", "picket", "release", &[])
}

/// The same, built to say that it is of another version.
///
/// # Errors
/// When it does not compile.
pub fn picket_as(version: &str) -> Result<PathBuf> {
    build("sensor-user", "picket", "release", &[("PICKET_VERSION", version)])
}

/// The guest's first process.
///
/// # Errors
/// When it does not compile.
pub fn guest_init() -> Result<PathBuf> {
    // Little code that changes with every verb of the workbench: quick to build and small is best.
    build(
        "xtask",
        "guest-init",
        "dev",
        &[
            ("CARGO_PROFILE_DEV_OPT_LEVEL", "1"),
            ("CARGO_PROFILE_DEV_DEBUG", "false"),
            ("CARGO_PROFILE_DEV_STRIP", "true"),
        ],
    )
}

fn build(
    package: &str,
    program: &str,
    profile: &str,
    settings: &[(&str, &str)],
) -> Result<PathBuf> {
    let dir = if profile == "dev" { "debug" } else { profile };
    let path = static_dir().join(TRIPLE).join(dir).join(program);
    if !path.exists() {
        eprintln!("vm: building {program} (static) ...");
    }
    let mut cargo = cargo("build");
    cargo.envs(settings.iter().copied());
    cargo.args(["--quiet", "--package", package, "--bin", program, "--profile", profile]);
    let status = cargo.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("{program} does not compile");
    }
    Ok(path)
}

/// The target directory of what goes into guests.
fn static_dir() -> PathBuf {
    target_dir().join("static")
}

/// A cargo command that makes static programs, in the directory that all of them share.
pub(crate) fn cargo(verb: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_MANIFEST_DIR"]
    {
        cargo.env_remove(name);
    }
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    // One object serves both kinds of build.
    cargo.env("PICKET_BPF_TARGET_DIR", target_dir().join("bpf"));
    cargo.args([verb, "--target", TRIPLE, "--target-dir"]).arg(static_dir());
    cargo
}

/// Runs a cargo that builds one program of the given target name, quick to compile and not slow to
/// run under emulation, and returns where it put it.
///
/// # Errors
/// When it does not compile.
pub fn built(cargo: &mut Command, name: &str) -> Result<PathBuf> {
    let [program] = all_built(cargo, [name])?;
    Ok(program)
}

/// The same for several programs that one cargo builds, as it does those of a package with its tests.
///
/// # Errors
/// When they do not compile.
pub fn all_built<const N: usize>(cargo: &mut Command, names: [&str; N]) -> Result<[PathBuf; N]> {
    // The checks of a debug build stay in; what nobody steps through needs no debug information.
    for profile in ["DEV", "TEST"] {
        cargo.env(format!("CARGO_PROFILE_{profile}_OPT_LEVEL"), "1");
        cargo.env(format!("CARGO_PROFILE_{profile}_DEBUG"), "false");
        cargo.env(format!("CARGO_PROFILE_{profile}_STRIP"), "debuginfo");
    }
    all_made(cargo, names)
}

/// [`built`] with the settings that the cargo has.
///
/// # Errors
/// When it does not compile.
pub fn made(cargo: &mut Command, name: &str) -> Result<PathBuf> {
    let [program] = all_made(cargo, [name])?;
    Ok(program)
}

fn all_made<const N: usize>(cargo: &mut Command, names: [&str; N]) -> Result<[PathBuf; N]> {
    cargo.args(["--quiet", "--message-format=json-render-diagnostics"]);
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no standard output")?;
    let mut programs = [const { None }; N];
    for line in BufReader::new(output).lines() {
        let line = line?;
        for (program, name) in programs.iter_mut().zip(names) {
            *program = executable(&line, name).or(program.take());
        }
    }
    if !child.wait()?.success() {
        bail!("{} does not compile", names.join(" or "));
    }
    let mut found = [const { PathBuf::new() }; N];
    for ((found, program), name) in found.iter_mut().zip(programs).zip(names) {
        *found = program.with_context(|| format!("cargo does not say where it put {name}"))?;
    }
    Ok(found)
}

/// The program of that name that a message of cargo's is about.
fn executable(message: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == name;
    message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let message = |name: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"executable":{executable}}}"#
            )
        };
        let found = |text: &str| executable(text, "kernel");
        assert_eq!(found(&message("kernel", r#""/t/kernel-1""#)), Some("/t/kernel-1".into()));
        assert_eq!(found(&message("picket", r#""/t/picket""#)), None);
        assert_eq!(found(&message("kernel", "null")), None);
        assert_eq!(found("not json"), None);
    }
}
