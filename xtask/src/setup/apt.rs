//! The machine's own package manager: which of the wanted packages are missing, installing them,
//! and the error that says how to where we may not.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Result, bail};
use nix::unistd::geteuid;

use super::{
    cache::Cache,
    step::{Log, output, step},
};

/// Where system programs are; a user's PATH often lacks the two `sbin`.
const SYSTEM_DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// A program and the Debian package that has it.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The program's file name.
    pub program: &'static str,
    /// The package to install for it.
    pub package: &'static str,
}

/// Finds a program in PATH and in the system's directories.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain(SYSTEM_DIRS.iter().map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Finds a program that an earlier step has made sure of.
///
/// # Errors
/// When somebody has removed it since.
pub fn program(name: &str) -> Result<PathBuf> {
    match find_program(name) {
        Some(path) => Ok(path),
        None => bail!("{name} is neither in PATH nor in {}", SYSTEM_DIRS.join(", ")),
    }
}

/// The packages of those tools whose program is not there.
#[must_use]
pub fn missing(tools: &[Tool]) -> Vec<&'static str> {
    tools
        .iter()
        .filter(|tool| find_program(tool.program).is_none())
        .map(|tool| tool.package)
        .collect()
}

/// The packages (such as libraries, which have no program to look for) that dpkg does not have
/// installed.
#[must_use]
pub fn not_installed(packages: &[&'static str]) -> Vec<&'static str> {
    let installed = |package: &str| {
        output(Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}\n", package]))
            .is_ok_and(|answer| answer.lines().any(|line| line == "installed"))
    };
    packages.iter().copied().filter(|package| !installed(package)).collect()
}

/// Whether packages can be installed by this process.
#[must_use]
pub fn usable() -> bool {
    find_program("apt-get").is_some() && geteuid().is_root()
}

/// The version that apt would install, by the lists that the machine has.
#[must_use]
pub fn candidate(package: &str) -> Option<String> {
    let policy = output(Command::new("apt-cache").args(["policy", package])).ok()?;
    parse_candidate(&policy)
}

fn parse_candidate(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// Fetches the machine's package lists.
///
/// # Errors
/// apt's own.
pub fn update(cache: &Cache) -> Result<()> {
    step("fetching the package lists", || {
        Log::begin(cache.log("apt-update"))?.run(Command::new("apt-get").arg("update"))
    })
}

/// Installs `packages`, which `purpose` needs.
///
/// # Errors
/// Where we may not install (the message has the command that would), and apt's own.
pub fn install(cache: &Cache, purpose: &str, packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if !usable() {
        bail!("{}", remedy(purpose, packages, find_program("apt-get").is_some()));
    }
    update(cache)?;
    step(&format!("installing {} (for {purpose})", packages.join(" ")), || {
        let log = Log::begin(cache.log("apt-install"))?;
        let mut apt = Command::new("apt-get");
        // A question would hang a set-up that nobody watches.
        apt.env("DEBIAN_FRONTEND", "noninteractive").args([
            "install",
            "--yes",
            "--no-install-recommends",
            "--",
        ]);
        log.run(apt.args(packages))
    })
}

fn remedy(purpose: &str, packages: &[&str], has_apt: bool) -> String {
    let packages = packages.join(" ");
    if has_apt {
        format!(
            "{purpose} needs packages that are not installed, and only root can install them; run: sudo apt-get install {packages}"
        )
    } else {
        format!(
            "{purpose} needs what Debian calls {packages}, and this machine has no apt-get; \
             install the same with its own package manager, or on a Debian machine run: sudo apt-get install {packages}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_a_version_or_nothing() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n";
        assert_eq!(parse_candidate(policy).as_deref(), Some("1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(parse_candidate("x:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(parse_candidate(""), None);
    }

    #[test]
    fn the_remedy_is_a_command() {
        let text = remedy("the VM", &["qemu-system-x86", "mmdebstrap"], true);
        assert!(text.ends_with("run: sudo apt-get install qemu-system-x86 mmdebstrap"), "{text}");
    }

    #[test]
    fn programs_are_found_outside_path_too() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-anywhere").is_none());
        let tools = [
            Tool { program: "sh", package: "dash" },
            Tool { program: "no-such-program", package: "nothing" },
        ];
        assert_eq!(missing(&tools), ["nothing"]);
    }
}
