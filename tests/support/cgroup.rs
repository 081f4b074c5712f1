//! Cgroups, and getting into them.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;

use super::sys::Res;
use super::sys::files::{open, pipe, read_next, write};
use super::sys::process::{born_into, exit_with, fork, outcome, wait};

/// A cgroup of the test's own, which is removed, with what is below it, when it is dropped.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one below the root.
    pub fn new(name: &str) -> Cgroup {
        Cgroup::at(Path::new("/sys/fs/cgroup").join(name))
    }

    /// Makes one below it.
    pub fn child(&self, name: &str) -> Cgroup {
        Cgroup::at(self.0.join(name))
    }

    fn at(path: PathBuf) -> Cgroup {
        fs::create_dir_all(&path).unwrap();
        Cgroup(path)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Puts a process into it.
    pub fn put(&self, pid: i32) -> Res {
        self.procs().and_then(|procs| write(&procs, pid.to_string().as_bytes()))
    }

    fn procs(&self) -> Res<OwnedFd> {
        open(self.0.join("cgroup.procs"), libc::O_WRONLY)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What was in it may take a moment to be gone.
        for _ in 0..100 {
            match fs::remove_dir(&self.0) {
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                    thread::sleep(std::time::Duration::from_millis(20));
                }
                _ => return,
            }
        }
    }
}

/// Where a way in takes a process: open before it goes in, because there it has no such path.
pub struct Target {
    procs: OwnedFd,
    directory: OwnedFd,
}

impl Target {
    /// Opens it.
    pub fn of(cgroup: &Path) -> Res<Target> {
        let procs = open(cgroup.join("cgroup.procs"), libc::O_WRONLY)?;
        Ok(Target { procs, directory: open(cgroup, libc::O_PATH | libc::O_DIRECTORY)? })
    }

    /// The calling process joins it.
    pub fn join(&self) -> Res {
        write(&self.procs, b"0")
    }

    /// A child is put into it, and then does something.
    pub fn put(&self, body: impl FnOnce() -> Res) -> Res {
        let (go, say_go) = pipe()?;
        match fork()? {
            None => {
                drop(say_go);
                exit_with(read_next(&go, &mut [0]).and_then(|_| body()))
            }
            Some(pid) => {
                write(&self.procs, pid.to_string().as_bytes())?;
                write(&say_go, b"!")?;
                outcome(wait(pid))
            }
        }
    }

    /// A child is born into it, and does something.
    pub fn bear(&self, body: impl FnOnce() -> Res) -> Res {
        born_into(&self.directory, body)
    }
}
