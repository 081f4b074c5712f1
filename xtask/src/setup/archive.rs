//! Debian's archive seen through an apt state of our own, so that releases which the machine does
//! not use can be read without touching its configuration.
//!
//! Signatures are always checked. The machine's keyring may be older than the newest release's
//! keys, so the current `debian-archive-keyring` package is downloaded (not installed) through the
//! machine's own apt, which checks it by the keys that the machine trusts already; the keys in it
//! are what the releases here are checked by.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    apt,
    cache::Cache,
    sources::{self, Mirror},
    step::{Log, output, step},
};

/// The release that the guest's userland and the two older kernels come from.
pub const BASE: &str = "bookworm";

/// Where the newest kernels appear first.
const NEWER: [&str; 2] = ["trixie-backports", "sid"];

/// A view of the archive; lives in a directory that its maker throws away.
#[derive(Debug)]
pub struct Archive {
    dir: PathBuf,
    keyring: PathBuf,
    mirror: Mirror,
    log: Log,
}

impl Archive {
    /// Prepares a view in the empty directory `dir`.
    ///
    /// # Errors
    /// When the machine is no Debian machine or the keyring cannot be had.
    pub fn open(cache: &Cache, dir: &Path) -> Result<Self> {
        if apt::find_program("apt-get").is_none() {
            bail!(
                "kernels and userland of the guest come from Debian's archive, and this machine has no apt-get"
            );
        }
        let mirror = sources::mirror(Path::new("/etc/apt"))?;
        let log = Log::begin(cache.log("archive"))?;
        let keyring = keyring(cache, &log, dir)?;
        Ok(Self { dir: dir.to_owned(), keyring, mirror, log })
    }

    /// The log that everything done to the archive is written to.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The lines of a sources.list(5) for the base release with its security updates.
    #[must_use]
    pub fn base_sources(&self) -> String {
        let mut lines = self.line(&self.mirror.main, BASE);
        if let Some(security) = &self.mirror.security {
            lines += &self.line(security, &format!("{BASE}-security"));
        }
        lines
    }

    fn line(&self, uri: &str, suite: &str) -> String {
        format!("deb [signed-by={}] {uri} {suite} main\n", self.keyring.display())
    }

    /// Fetches the package lists of the base release and the newer ones.
    ///
    /// # Errors
    /// apt's own.
    pub fn update(&self) -> Result<()> {
        for dir in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(self.dir.join(dir))?;
        }
        let newer: String = NEWER.iter().map(|suite| self.line(&self.mirror.main, suite)).collect();
        fs::write(self.dir.join("sources.list"), self.base_sources() + &newer)?;
        step("fetching Debian's lists of kernels", || {
            self.log.run(self.apt("apt-get").arg("update"))
        })
    }

    /// The names of all packages that begin with `prefix`.
    ///
    /// # Errors
    /// apt's own.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let names = output(self.apt("apt-cache").args(["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The packages that `package` depends on directly.
    ///
    /// # Errors
    /// apt's own.
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        let said = output(self.apt("apt-cache").args(["depends", "--important", package]))?;
        let named = said.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(named.map(str::to_owned).collect())
    }

    /// Downloads packages and unpacks them, without installing anything, into `into`.
    ///
    /// # Errors
    /// Those of apt and dpkg-deb.
    pub fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        let debs = self.dir.join("debs");
        fs::create_dir_all(&debs)?;
        let mut download = self.apt("apt-get");
        self.log.run(download.current_dir(&debs).arg("download").args(packages))?;
        for deb in debs_in(&debs)? {
            self.log.run(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(into))?;
        }
        fs::remove_dir_all(&debs).context("cannot remove downloaded packages")
    }

    /// An apt program that sees the archive through this directory only.
    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        let dir = self.dir.display();
        let settings = [
            format!("Dir::Etc::SourceList={dir}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={dir}/lists"),
            "Dir::State::Status=/dev/null".to_owned(),
            format!("Dir::Cache={dir}/cache"),
            // Only amd64 kernels are booted, and lists of icons and translations help nobody.
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures=amd64".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ];
        settings.iter().for_each(|setting| {
            apt.args(["-o", setting]);
        });
        apt
    }
}

/// Downloads the current keyring through the machine's own apt and gives the file with all keys.
fn keyring(cache: &Cache, log: &Log, dir: &Path) -> Result<PathBuf> {
    let (debs, tree) = (dir.join("keyring-deb"), dir.join("keyring"));
    fs::create_dir(&debs)?;
    let mut download = Command::new("apt-get");
    download.current_dir(&debs).args(["download", "debian-archive-keyring"]);
    if log.run(&mut download).is_err() {
        // The usual reason is that the machine has no package lists yet.
        if !apt::usable() {
            bail!("no package lists to find debian-archive-keyring in; run: sudo apt-get update");
        }
        apt::update(cache)?;
        log.run(&mut download)?;
    }
    for deb in debs_in(&debs)? {
        log.run(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(&tree))?;
    }
    let keyrings = tree.join("usr/share/keyrings");
    // Newer packages have the file in apt's current format under another extension.
    let found = ["gpg", "pgp"].map(|end| keyrings.join(format!("debian-archive-keyring.{end}")));
    match found.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!("debian-archive-keyring has no keyring in usr/share/keyrings"),
    }
}

fn debs_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "deb")).collect())
}
