//! Directories of pins in the BPF file system, which keep a kernel side in force when the process
//! that loaded it is gone.
//!
//! ```text
//! /sys/fs/bpf/picket/            0700 root
//!   host/                        the machine's own: what a daemon makes, adopts and upgrades
//!     RECORD, AGENTS, TAGS, …    maps
//!     links-7/file_open, …       one set of programs; its number is the record's generation
//!     links-8-new/               a set in the making; left behind only by a crash
//!   run-PID/file_open, …         links of a launcher that had no daemon
//! ```
//!
//! Names have no dots in them: a BPF file system refuses those.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::error::KernelError;

/// Where all pins are.
pub const ROOT: &str = "/sys/fs/bpf/picket";
/// The directory of the machine's own kernel side, in [`ROOT`].
pub const HOST: &str = "/sys/fs/bpf/picket/host";

fn failed(what: &'static str, at: &Path) -> impl FnOnce(io::Error) -> KernelError {
    move |source| KernelError::Pins { what, at: at.to_owned(), source }
}

/// Makes a directory that only root can look into, and those above it.
pub fn make(at: &Path) -> Result<(), KernelError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(at);
    made.map_err(failed("make the directory of pins", at))
}

/// A directory of pinned links, removed with them when it is dropped.
#[derive(Debug)]
pub struct Pins(PathBuf);

impl Pins {
    /// Makes a directory for the links of this process, `root` and its pid, with a number behind
    /// it if a process of the same pid was killed and left one.
    pub fn create(root: &Path) -> Result<Pins, KernelError> {
        make(root)?;
        let pid = std::process::id();
        for number in 0.. {
            let name =
                if number == 0 { format!("run-{pid}") } else { format!("run-{pid}-{number}") };
            let at = root.join(name);
            match fs::create_dir(&at) {
                Ok(()) => return Ok(Pins(at)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make the directory of pins", &at)(error)),
            }
        }
        Err(KernelError::Full("directory of pins"))
    }

    /// Where it is.
    pub fn at(&self) -> &Path {
        &self.0
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        // What cannot be removed stays attached, which is the safe side to fail on.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The directory of a set of links.
pub fn links(host: &Path, generation: u32) -> PathBuf {
    host.join(format!("links-{generation}"))
}

/// Makes an empty directory in which a set of links is put together; see [`publish`].
pub fn begin_links(host: &Path, generation: u32) -> Result<PathBuf, KernelError> {
    let at = host.join(format!("links-{generation}-new"));
    remove(&at)?;
    make(&at)?;
    Ok(at)
}

/// Gives a set of links that is complete its name.
pub fn publish(host: &Path, generation: u32) -> Result<(), KernelError> {
    let from = host.join(format!("links-{generation}-new"));
    fs::rename(&from, links(host, generation))
        .map_err(failed("rename the directory of pins", &from))
}

/// Numbers of the complete sets, ascending.
pub fn generations(host: &Path) -> Result<Vec<u32>, KernelError> {
    let mut found: Vec<u32> =
        names(host)?.iter().filter_map(|name| name.strip_prefix("links-")?.parse().ok()).collect();
    found.sort_unstable();
    Ok(found)
}

/// Removes every set of links but one: whole ones, after which their programs judge no more, and
/// those that were never finished.
pub fn remove_other_links(host: &Path, keep: u32) -> Result<(), KernelError> {
    let keep = format!("links-{keep}");
    for name in names(host)? {
        if name.starts_with("links-") && name != keep {
            remove(&host.join(name))?;
        }
    }
    Ok(())
}

/// Names in a directory of pins; none where there is no directory.
pub fn names(at: &Path) -> Result<Vec<String>, KernelError> {
    let entries = match fs::read_dir(at) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("read the directory of pins", at))?,
    };
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect::<io::Result<_>>().map_err(failed("read the directory of pins", at))
}

/// Removes a directory of pins, or does nothing where there is none.
pub fn remove(at: &Path) -> Result<(), KernelError> {
    match fs::remove_dir_all(at) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove the pins in", at)(error))
        }
        _ => Ok(()),
    }
}

/// Removes one pin, or does nothing where there is none.
pub fn remove_file(at: &Path) -> Result<(), KernelError> {
    match fs::remove_file(at) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove the pin", at)(error))
        }
        _ => Ok(()),
    }
}
