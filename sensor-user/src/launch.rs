//! Starting a command as an agent: fork, tag, drop privileges, exec. And ending it: an agent is
//! over when its command is, so nothing of it is left behind without its fence.

pub mod gate;
pub mod leftovers;
pub mod user;

use std::ffi::OsString;
use std::io;

use sensor_ebpf::tag::Tag;
use tokio::process::{Child, Command};

use crate::kernel::load::Tags;
use gate::Gate;
use user::User;

/// What to start.
#[derive(Debug)]
pub struct Launch {
    /// The program, searched on `PATH` if it has no slash.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The user to become; `None` stays.
    pub user: Option<User>,
}

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is no such program.
    #[error("{0}: command not found")]
    NotFound(String),
    /// It is there and may not be run: by the policy, or by the file's own permissions.
    #[error("{0}: cannot be run: {1}; see the lines above for what the policy refused")]
    NotRunnable(String, io::Error),
    /// Something else.
    #[error("cannot start {0}: {1}")]
    Other(String, io::Error),
}

impl LaunchError {
    /// The exit code that `env(1)`, `timeout(1)` and shells use for it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            LaunchError::NotFound(_) => 127,
            LaunchError::NotRunnable(..) => 126,
            LaunchError::Other(..) => 125,
        }
    }
}

/// Has `exec` close every descriptor but the three standard ones (`close_range(2)`): what was open
/// before the tag is not judged again, so nothing that happened to be open may come along.
fn leave_standard_streams() -> io::Result<()> {
    // SAFETY: takes three numbers.
    let code = unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Starts a command under a tag. The child tags itself between `fork` and `exec`, by the descriptor
/// that it has inherited: there is no moment at which the command runs without its tag.
pub fn spawn(launch: &Launch, tags: Tags, tag: Tag) -> Result<Child, LaunchError> {
    start(launch, move || tags.tag_self(tag))
}

/// Starts a command that somebody else tags: between `fork` and `exec` the child waits at a gate. Does
/// not return before the gate is opened or given up, so call it where that may take its time.
pub fn spawn_at(launch: &Launch, gate: Gate) -> Result<Child, LaunchError> {
    start(launch, move || gate.pass())
}

/// Starts a command whose child calls `enter` last before `exec`. That may only make system calls, and
/// allocate nothing.
fn start(
    launch: &Launch,
    enter: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> Result<Child, LaunchError> {
    let mut command = Command::new(&launch.program);
    command.args(&launch.args);
    let user = launch.user.clone();
    if let Some(user) = &user {
        for (name, value) in user.environment() {
            command.env(name, value);
        }
        for name in ["SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND"] {
            command.env_remove(name);
        }
    }
    let prepare = move || {
        no_core_dumps()?;
        // First the user: inside the fence root may not change it.
        user.as_ref().map_or(Ok(()), user::become_user)?;
        leave_standard_streams()?;
        enter()
    };
    // SAFETY: `prepare` only makes system calls and allocates nothing, which is what may be done
    // between fork and exec.
    unsafe { command.pre_exec(prepare) };
    command.spawn().map_err(|error| {
        let name = launch.program.to_string_lossy().into_owned();
        match error.kind() {
            io::ErrorKind::NotFound => LaunchError::NotFound(name),
            io::ErrorKind::PermissionDenied => LaunchError::NotRunnable(name, error),
            _ => LaunchError::Other(name, error),
        }
    })
}

/// Limits core dumps to one byte, which the kernel takes for none at all, neither into a file nor into the
/// program of `kernel.core_pattern` (`fs/coredump.c`, core(5)). That program runs outside the fence, as
/// root, on what the agent chose to leave in its memory; of limit 0 it takes no notice.
fn no_core_dumps() -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: a live structure.
    let code = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
    use std::os::unix::process::CommandExt as _;

    use super::*;

    #[test]
    fn nothing_but_the_standard_streams_comes_along() {
        // A copy that `exec` would not close.
        // SAFETY: an open descriptor, and the new one is nobody else's.
        let kept = unsafe { OwnedFd::from_raw_fd(libc::dup(0)) };
        let there = |prepare: fn() -> io::Result<()>| {
            let test = format!("test -e /proc/self/fd/{}", kept.as_raw_fd());
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &test]);
            // SAFETY: `prepare` makes one system call at most.
            unsafe { command.pre_exec(prepare) };
            command.status().unwrap().success()
        };
        assert!(there(|| Ok(())), "a control: it would have come along");
        assert!(!there(leave_standard_streams));
    }
}
