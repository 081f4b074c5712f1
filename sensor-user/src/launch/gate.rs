//! A child that waits between `fork` and `exec` until somebody else has tagged it: a launcher that is not
//! root cannot do that itself.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// The child's side.
#[derive(Debug)]
pub struct Gate {
    announce: File,
    permit: File,
    /// The keeper's descriptors, which the child has a copy of: with its own copy open it would never
    /// see that the keeper is gone.
    keepers: [RawFd; 2],
}

/// The launcher's side.
#[derive(Debug)]
pub struct Keeper {
    announced: File,
    permit: File,
}

/// Makes a gate.
///
/// # Errors
/// If there are no pipes to be had.
pub fn make() -> io::Result<(Gate, Keeper)> {
    let (announced, announce) = io::pipe()?;
    let (wait, permit) = io::pipe()?;
    let file = |fd: OwnedFd| File::from(fd);
    let keeper = Keeper { announced: file(announced.into()), permit: file(permit.into()) };
    let keepers = [keeper.announced.as_raw_fd(), keeper.permit.as_raw_fd()];
    Ok((Gate { announce: file(announce.into()), permit: file(wait.into()), keepers }, keeper))
}

impl Gate {
    /// Says that the child is there, and waits. Async-signal-safe, and it allocates nothing.
    pub(super) fn pass(&self) -> io::Result<()> {
        for fd in self.keepers {
            // SAFETY: closes this process's copy of a descriptor that nothing in it uses.
            unsafe { libc::close(fd) };
        }
        // SAFETY: takes and returns integers.
        let pid = unsafe { libc::getpid() };
        (&self.announce).write_all(&pid.to_ne_bytes())?;
        // Of a keeper that gives up or is gone there is nothing to read.
        match (&self.permit).read_exact(&mut [0]) {
            Ok(()) => Ok(()),
            Err(_) => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
        }
    }
}

impl Keeper {
    /// Waits for the child: its pid, or nothing if it never came to the gate.
    ///
    /// # Errors
    /// As of reading a pipe.
    pub fn wait(&mut self) -> io::Result<Option<u32>> {
        let mut pid = [0; 4];
        match self.announced.read_exact(&mut pid) {
            Ok(()) => Ok(Some(u32::from_ne_bytes(pid))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets the child pass. Without it, the child ends when this is dropped.
    ///
    /// # Errors
    /// If the child is gone.
    pub fn open(mut self) -> io::Result<()> {
        self.permit.write_all(&[1])
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::launch::{Launch, LaunchError, spawn_at};

    fn launch(gate: Gate) -> std::thread::JoinHandle<Result<bool, LaunchError>> {
        std::thread::spawn(move || {
            let (program, args) = (OsString::from("true"), Vec::new());
            let launch = Launch { program, args, user: None };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut child = spawn_at(&launch, gate)?;
                Ok(child.wait().await.unwrap().success())
            })
        })
    }

    #[test]
    fn a_child_goes_on_when_it_may_and_ends_when_nobody_is_there_to_say_so() {
        let (gate, mut keeper) = make().unwrap();
        let started = launch(gate);
        let pid = keeper.wait().unwrap().unwrap();
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        assert_eq!(program, std::env::current_exe().unwrap(), "it waits before it is another");
        keeper.open().unwrap();
        assert!(started.join().unwrap().unwrap());

        let (gate, mut keeper) = make().unwrap();
        let started = launch(gate);
        assert!(keeper.wait().unwrap().is_some());
        drop(keeper);
        assert!(matches!(started.join().unwrap(), Err(LaunchError::Other(..))));
    }
}
