//! The kernels that guests boot: which Debian packages they are, and how they are unpacked into
//! what a boot needs (image, early modules, a disk with all modules).

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use super::{
    apt::{self, Tool},
    archive::Archive,
    cache::{Cache, Lock},
    disk, modules,
    step::step,
};

/// Part of the cache entries' names: raise it when what an entry holds changes.
const LAYOUT: u32 = 1;

/// What unpacking kernels takes.
pub const TOOLS: [Tool; 4] = [
    Tool { program: "dpkg-deb", package: "dpkg" },
    Tool { program: "depmod", package: "kmod" },
    Tool { program: "xz", package: "xz-utils" },
    Tool { program: "mke2fs", package: "e2fsprogs" },
];

/// A line of kernels; the newest of the line that Debian carries is the one that boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Kernel {
    /// The floor: the oldest that Picket runs on.
    #[value(name = "6.1")]
    V6_1,
    /// The long-term line in between.
    #[value(name = "6.12")]
    V6_12,
    /// The newest.
    #[value(name = "7")]
    V7,
}

impl Kernel {
    /// All lines, oldest first.
    pub const ALL: [Self; 3] = [Self::V6_1, Self::V6_12, Self::V7];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7 => "7",
        }
    }

    /// Around the release in the names of the line's packages.
    fn package_parts(self) -> (&'static str, &'static str) {
        match self {
            Self::V6_1 => ("linux-image-6.1.", "-cloud-amd64"),
            // Other builds of 6.12 are for other releases of Debian.
            Self::V6_12 => ("linux-image-6.12.", "+deb12-cloud-amd64"),
            Self::V7 => ("linux-image-7.", "-cloud-amd64"),
        }
    }

    fn choice_file(self) -> String {
        format!("kernel-{}.chosen", self.name())
    }
}

/// A kernel that is ready to boot.
#[derive(Clone, Debug)]
pub struct KernelFiles {
    /// What `uname -r` says in it.
    pub release: String,
    /// The bootable image.
    pub image: PathBuf,
    /// Modules to load from the initramfs, in this order, before the disks can be seen.
    pub early_modules: Vec<PathBuf>,
    /// An ext4 image whose root is the kernel's `/lib/modules`.
    pub modules_disk: PathBuf,
}

/// The kernel of a line, where it is in the cache.
#[must_use]
pub fn find(cache: &Cache, kernel: Kernel) -> Option<KernelFiles> {
    let entry = fs::read_to_string(cache.path(&kernel.choice_file())).ok()?;
    let dir = cache.path(entry.trim());
    let release = entry.trim().strip_prefix("kernel-")?.strip_suffix(&format!("-l{LAYOUT}"))?;
    let mut early = fs::read_dir(dir.join("early"))
        .ok()?
        .map(|file| Some(file.ok()?.path()))
        .collect::<Option<Vec<_>>>()?;
    early.sort();
    Some(KernelFiles {
        release: release.to_owned(),
        image: dir.join("vmlinuz"),
        early_modules: early,
        modules_disk: dir.join("modules.ext4"),
    })
}

/// The cache entry that was chosen for a line.
fn chosen(cache: &Cache, kernel: Kernel) -> Option<String> {
    let text = fs::read_to_string(cache.path(&kernel.choice_file())).ok()?;
    Some(text.trim().to_owned())
}

/// Finds the kernels or downloads them; with `refresh`, looks for newer ones.
///
/// # Errors
/// When tools are missing and cannot be installed, the archive cannot be read, or it has no
/// kernel of a line.
pub fn ensure(cache: &Cache, lock: &Lock, kernels: &[Kernel], refresh: bool) -> Result<()> {
    let wanted: Vec<_> = kernels
        .iter()
        .copied()
        .filter(|kernel| refresh || find(cache, *kernel).is_none())
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    apt::install(cache, "unpacking the guest's kernels", &apt::missing(&TOOLS))?;
    let view = cache.scratch(lock, "archive")?;
    let archive = Archive::open(cache, view.path())?;
    archive.update()?;
    for kernel in wanted {
        let package = choose(kernel, &archive)?;
        let release = package.trim_start_matches("linux-image-").to_owned();
        let entry = format!("kernel-{release}-l{LAYOUT}");
        if !cache.path(&entry).exists() {
            step(&format!("downloading and unpacking kernel {release}"), || {
                cache.publish(lock, &entry, |dir| fill(&archive, &package, &release, dir))
            })?;
        }
        cache.write(lock, &kernel.choice_file(), &format!("{entry}\n"))?;
    }
    let chosen: Vec<_> = Kernel::ALL.iter().filter_map(|kernel| chosen(cache, *kernel)).collect();
    cache.prune(lock, "kernel-", &chosen.iter().map(String::as_str).collect::<Vec<_>>())
}

fn choose(kernel: Kernel, archive: &Archive) -> Result<String> {
    let (prefix, suffix) = kernel.package_parts();
    match newest(&archive.names(prefix)?, prefix, suffix) {
        Some(package) => Ok(package),
        None => {
            bail!("the Debian archive that apt is configured for has no package {prefix}*{suffix}")
        }
    }
}

/// The package with the highest version between `prefix` and `suffix`. What stands there must be
/// numbers, or numbers and a Debian release (`7.3.4+deb13`): anything else (a `-dbg`, a release
/// candidate) is not a kernel to boot.
fn newest(packages: &[String], prefix: &str, suffix: &str) -> Option<String> {
    let version = |package: &str| -> Option<Vec<u64>> {
        let middle = package.strip_prefix(prefix)?.strip_suffix(suffix)?;
        let middle = middle.replace("+deb", ".");
        middle.split(['.', '-']).map(|number| number.parse().ok()).collect()
    };
    let versions = packages.iter().filter_map(|package| Some((version(package)?, package)));
    versions.max().map(|(_, package)| package.clone())
}

/// Makes a kernel's cache entry in `dir`.
fn fill(archive: &Archive, package: &str, release: &str, dir: &Path) -> Result<()> {
    let tree = dir.join("tree");
    archive.unpack(&with_parts(archive, package, release)?, &tree)?;
    merge_usr(&tree)?;
    let modules = tree.join("usr/lib/modules").join(release);
    let image = [tree.join(format!("boot/vmlinuz-{release}")), modules.join("vmlinuz")];
    match image.iter().find(|path| path.is_file()) {
        Some(image) => fs::rename(image, dir.join("vmlinuz"))?,
        None => bail!("{package} has no kernel image in /boot or /usr/lib/modules"),
    }
    archive.log().run(Command::new(apt::program("depmod")?).arg("-b").arg(&tree).arg(release))?;
    modules::extract_early(&modules, &dir.join("early"))?;
    let disk = dir.join("modules.ext4");
    disk::pack(archive.log(), &tree.join("usr/lib/modules"), &disk, 0)?;
    fs::remove_dir_all(&tree).context("cannot remove the unpacked packages")
}

/// Older packages have modules in /lib, newer in /usr/lib; depmod knows one of them. Makes /lib a
/// link, as in every Debian system of today.
fn merge_usr(tree: &Path) -> Result<()> {
    let (old, new) = (tree.join("lib/modules"), tree.join("usr/lib/modules"));
    if old.is_dir() {
        fs::create_dir_all(tree.join("usr/lib"))?;
        fs::rename(&old, &new).with_context(|| format!("cannot move to {}", new.display()))?;
        fs::remove_dir(tree.join("lib")).context("the package has more than modules in /lib")?;
    }
    symlink("usr/lib", tree.join("lib")).context("cannot link /lib to /usr/lib")
}

/// The package and those it is split into: all that it depends on for the same release.
fn with_parts(archive: &Archive, package: &str, release: &str) -> Result<Vec<String>> {
    let mut all = vec![package.to_owned()];
    let mut next = 0;
    while let Some(package) = all.get(next).cloned() {
        next += 1;
        for part in archive.depends(&package)? {
            if part.contains(release) && !all.contains(&part) {
                all.push(part);
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest_of(kernel: Kernel, packages: &[&str]) -> Option<String> {
        let (prefix, suffix) = kernel.package_parts();
        newest(&packages.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), prefix, suffix)
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let packages = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64-dbg",
            "linux-image-6.1.0-57-amd64",
            "linux-image-6.12.99+deb12-cloud-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64",
            "linux-image-6.12.118+deb13-cloud-amd64",
            "linux-image-6.12.119+deb12-rt-amd64",
            "linux-image-7.2.13+deb14-cloud-amd64",
            "linux-image-7.3.4+deb13-cloud-amd64",
            "linux-image-7.4~rc2-cloud-amd64",
        ];
        let pick = |kernel| newest_of(kernel, &packages).unwrap();
        assert_eq!(pick(Kernel::V6_1), "linux-image-6.1.0-56-cloud-amd64");
        assert_eq!(pick(Kernel::V6_12), "linux-image-6.12.117+deb12-cloud-amd64");
        assert_eq!(pick(Kernel::V7), "linux-image-7.3.4+deb13-cloud-amd64");
    }

    #[test]
    fn no_kernel_of_the_line_is_no_choice() {
        assert_eq!(
            newest_of(
                Kernel::V7,
                &["linux-image-6.1.0-9-cloud-amd64", "linux-image-7.4~rc2-cloud-amd64"]
            ),
            None
        );
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        for kernel in Kernel::ALL {
            assert_eq!(kernel.to_possible_value().unwrap().get_name(), kernel.name());
        }
    }
}
