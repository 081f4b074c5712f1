//! Whether a kernel can enforce, found out by looking and never by comparing versions.

use std::path::Path;
use std::{fs, io};

use sensor_ebpf::hook::Hook;
use serde::Serialize;

use super::layout::BtfFields;
use super::load::has_programs;
use super::sys;

/// Where the active security modules are listed.
const LSM_LIST: &str = "/sys/kernel/security/lsm";

/// One thing that enforcement takes.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub what: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do about it, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    fn good(what: impl Into<String>, found: impl Into<String>) -> Check {
        Check { what: what.into(), ok: true, found: found.into(), remedy: None }
    }

    fn bad(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Check {
        Check { what: what.into(), ok: false, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// Everything that can be checked without loading a program.
#[must_use]
pub fn checks() -> Vec<Check> {
    let mut checks = vec![programs(), root(), lsm(), bpffs()];
    match BtfFields::of_this_kernel() {
        Err(error) => checks.push(Check::bad(
            "kernel types",
            error.to_string(),
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y; distribution kernels since Debian 11, \
             Ubuntu 20.10, Fedora 31 and RHEL 8.2 are",
        )),
        Ok(fields) => {
            checks.push(match fields.layout() {
                Ok(_) => Check::good("kernel layout", "every field was found"),
                Err(error) => Check::bad(
                    "kernel layout",
                    error.to_string(),
                    "report it with the output of `uname -a`",
                ),
            });
            checks.extend(Hook::ALL.iter().map(|(hook, name)| hook_check(&fields, *hook, name)));
        }
    }
    checks
}

/// The first thing that rules enforcement out, of those that are quick to look at.
#[must_use]
pub fn obstacle() -> Option<Check> {
    [programs, root, lsm, bpffs].into_iter().map(|check| check()).find(|check| !check.ok)
}

fn programs() -> Check {
    if has_programs() {
        Check::good("picket itself", "carries its kernel programs")
    } else {
        Check::bad(
            "picket itself",
            "was built without its kernel programs",
            "run `cargo xtask setup`, then build again",
        )
    }
}

fn root() -> Check {
    let what = "privileges";
    match effective_capabilities() {
        // CAP_SYS_ADMIN implies CAP_BPF and CAP_PERFMON, and pidfd-keyed storage needs no more.
        Ok(set) if set & (1 << 21) != 0 => Check::good(what, "CAP_SYS_ADMIN"),
        Ok(_) => Check::bad(what, "no CAP_SYS_ADMIN", "run it as root, for example with sudo"),
        Err(error) => Check::bad(
            what,
            format!("cannot read /proc/self/status: {error}"),
            "mount procfs on /proc",
        ),
    }
}

/// The effective capability set (`proc_pid_status(5)`, `CapEff`).
fn effective_capabilities() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("it has no CapEff line"))
}

fn lsm() -> Check {
    let what = "BPF LSM";
    match fs::read_to_string(LSM_LIST) {
        Ok(list) if list.trim().split(',').any(|lsm| lsm == "bpf") => {
            Check::good(what, format!("active ({})", list.trim()))
        }
        Ok(list) => Check::bad(
            what,
            format!("not among the active security modules ({})", list.trim()),
            boot_parameter(list.trim()),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Check::bad(
            what,
            format!("{LSM_LIST} is not there"),
            "mount -t securityfs none /sys/kernel/security",
        ),
        Err(error) => {
            Check::bad(what, format!("cannot read {LSM_LIST}: {error}"), "run it as root")
        }
    }
}

/// Pins keep enforcement up when the process that loaded it is killed.
fn bpffs() -> Check {
    let what = "BPF file system";
    if sys::is_bpffs(c"/sys/fs/bpf") {
        Check::good(what, "mounted on /sys/fs/bpf")
    } else {
        Check::bad(what, "not mounted on /sys/fs/bpf", "mount -t bpf bpf /sys/fs/bpf")
    }
}

/// How to get `bpf` into the list on this distribution, keeping the modules that are there.
fn boot_parameter(list: &str) -> String {
    // `capability` is always first and not to be named in the parameter.
    let others = list.split(',').filter(|lsm| !lsm.is_empty() && *lsm != "capability");
    let parameter = format!("lsm={},bpf", others.collect::<Vec<_>>().join(","));
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let like = |name: &str| {
        release
            .lines()
            .filter(|line| line.starts_with("ID=") || line.starts_with("ID_LIKE="))
            .any(|line| line.contains(name))
    };
    if like("rhel") || like("fedora") {
        format!("grubby --update-kernel=ALL --args={parameter}, then reboot")
    } else if like("debian") || like("ubuntu") || Path::new("/usr/sbin/update-grub").exists() {
        format!(
            "add {parameter} to GRUB_CMDLINE_LINUX in /etc/default/grub, run update-grub, reboot"
        )
    } else if like("suse") {
        format!(
            "add {parameter} to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, run \
             grub2-mkconfig -o /boot/grub2/grub.cfg, reboot"
        )
    } else {
        format!("boot the kernel with the parameter {parameter}")
    }
}

fn hook_check(fields: &BtfFields, hook: Hook, name: &str) -> Check {
    let what = format!("hook {name}");
    if fields.has_hook(Hook::point(name)) {
        Check::good(what, "can be attached to")
    } else if let Some(since) = hook.since() {
        Check::good(what, format!("not in this kernel, which guards it otherwise (since {since})"))
    } else {
        Check::bad(
            what,
            "this kernel does not have it",
            "use a kernel from 6.1 on with CONFIG_BPF_LSM=y, CONFIG_SECURITY_PATH=y and \
             CONFIG_SECURITY_NETWORK=y",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_parameter_keeps_what_is_there_and_adds_bpf() {
        let text = boot_parameter("capability,landlock,yama");
        assert!(text.contains("lsm=landlock,yama,bpf"), "{text}");
    }
}
