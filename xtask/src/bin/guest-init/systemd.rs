//! Leaves the machine to systemd: the first process becomes it, and a child goes on with the command
//! beside it. Only what concerns that change of places is here.

use std::{
    convert::Infallible,
    ffi::CString,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::unistd::{ForkResult, execv, fork};

/// The program, and what it is told: the console is read for the kernel's complaints, so it is to say
/// nothing there.
const PROGRAM: [&std::ffi::CStr; 3] =
    [c"/lib/systemd/systemd", c"--show-status=no", c"--log-target=journal"];

/// How long it may take to start everything; emulated, it takes about ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes this process systemd. Returns in a child, when the machine is up.
pub fn take_over() -> Result<()> {
    // SAFETY: this process has one thread, so the child is whole.
    match unsafe { fork() }.context("cannot fork")? {
        ForkResult::Parent { .. } => become_it().map(|never| match never {}),
        ForkResult::Child => wait_until_up(),
    }
}

fn become_it() -> Result<Infallible> {
    let words = PROGRAM.map(CString::from);
    execv(PROGRAM[0], &words).context("cannot start systemd")
}

/// Units may have failed that nobody here needs; the state is `degraded` then.
fn wait_until_up() -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = Command::new("/bin/systemctl")
            .arg("is-system-running")
            .stderr(Stdio::null())
            .output()
            .context("cannot start systemctl")?;
        let state = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        if state == "running" || state == "degraded" {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("systemd is {state:?} after {} s", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(200));
    }
}
