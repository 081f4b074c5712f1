//! Where the demo runs: on this machine, or in a VM.

use std::{
    env,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::unistd::geteuid;
use serde::Deserialize;

use crate::{
    setup::{self, Need, kernels::Kernel},
    vm::{Input, Machine, Streams, programs},
};

/// Who the agent is on a machine where nobody stands behind `sudo`: a user who owns nothing, and
/// whom every distribution has.
const NOBODY: &str = "nobody";

/// In a machine that nobody minds, everything has its usual place.
const GUEST: [&str; 6] = ["--user", "agent", "--home", "/home/agent", "--base", "/srv/demo"];

/// How long the whole of it may take in a VM, boot included.
const PATIENCE: Duration = Duration::from_secs(600);

/// Where the demo runs.
#[derive(Debug)]
pub enum Place {
    /// On this machine.
    Here {
        /// The agent's user.
        user: String,
        /// The program.
        picket: PathBuf,
    },
    /// In a VM.
    Guest {
        /// The VM's kernel.
        kernel: Kernel,
        /// Why not here; nothing where nobody asked for here.
        why: Option<String>,
        /// The program.
        picket: PathBuf,
    },
}

/// Decides, and builds what either takes.
pub fn choose(kernel: Option<Kernel>, here: bool) -> Result<Place> {
    setup::ensure(&[Need::BpfToolchain])?;
    let picket = programs::picket()?;
    if let Some(kernel) = kernel {
        return Ok(Place::Guest { kernel, why: None, picket });
    }
    match obstacle(&picket)? {
        None => Ok(Place::Here { user: user(), picket }),
        Some(why) if here => bail!("cannot run here: {why}"),
        Some(why) => Ok(Place::Guest { kernel: Kernel::V6_12, why: Some(why), picket }),
    }
}

/// What `picket doctor --json` says.
#[derive(Deserialize)]
struct Health {
    enforcing: bool,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    what: String,
    ok: bool,
    found: String,
}

/// Why Picket cannot enforce here.
fn obstacle(picket: &Path) -> Result<Option<String>> {
    if !geteuid().is_root() {
        return Ok(Some("you are not root".to_owned()));
    }
    let output =
        Command::new(picket).args(["doctor", "--json"]).output().context("cannot start picket")?;
    let health: Health = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("picket doctor failed: {}", String::from_utf8_lossy(&output.stderr).trim())
    })?;
    if health.enforcing && output.status.success() {
        return Ok(None);
    }
    let first = health.checks.into_iter().find(|check| !check.ok);
    let why = first.map(|check| format!("{}: {}", check.what, check.found));
    Ok(Some(why.unwrap_or_else(|| "picket doctor says no".to_owned())))
}

fn user() -> String {
    env::var("SUDO_USER").ok().filter(|name| name != "root").unwrap_or_else(|| NOBODY.to_owned())
}

/// Runs the stage there; its exit code. What it says goes to `tidings`.
pub fn run(place: &Place, tidings: &mut dyn Write) -> Result<i32> {
    match place {
        Place::Here { user, picket } => run_here(user, picket, tidings),
        Place::Guest { kernel, picket, .. } => run_in_guest(*kernel, picket, tidings),
    }
}

/// The command line of the stage, in a network namespace of its own: the addresses that the agent
/// reaches for are somebody's, on a machine that is in use.
fn stage(scripts: &Path, policy: &Path, picket: &Path) -> Vec<PathBuf> {
    let mut words: Vec<PathBuf> =
        ["unshare", "--net", "python3", "-I", "-B"].map(Into::into).into();
    words.push(scripts.join("stage.py"));
    words.extend(["--policy".into(), policy.to_owned(), "--picket".into(), picket.to_owned()]);
    words
}

fn run_here(user: &str, picket: &Path, tidings: &mut dyn Write) -> Result<i32> {
    let root = programs::workspace();
    let words = stage(&root.join("tests/demo"), &root.join("policies/demo.yaml"), picket);
    let (program, arguments) = words.split_first().context("no command")?;
    // Ctrl-C reaches the stage too, which cleans up behind itself; until it has, stay.
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, interrupted)?;
    let mut child = Command::new(program)
        .args(arguments)
        .args(["--user", user])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let mut said = child.stdout.take().context("no pipe")?;
    let mut buffer = [0; 65536];
    loop {
        match said.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => tidings.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot hear the stage"),
        }
    }
    Ok(child.wait()?.code().unwrap_or(1))
}

fn run_in_guest(kernel: Kernel, picket: &Path, tidings: &mut dyn Write) -> Result<i32> {
    let root = programs::workspace();
    let inside = Path::new("/usr/local/bin/picket");
    // One processor: emulated ones take turns anyway.
    let machine = Machine::new(kernel)
        .smp(1)
        .timeout(PATIENCE)
        .share(root.join("tests/demo"))?
        .share(root.join("policies"))?
        .inject(picket, "/usr/local/bin/picket", 0o755)?;
    let mut words = stage(Path::new("/share/demo"), Path::new("/share/policies/demo.yaml"), inside);
    words.extend(GUEST.map(Into::into));
    let mut stderr = io::stderr();
    let streams = Streams { stdin: Input::Empty, stdout: tidings, stderr: &mut stderr };
    Ok(machine.run(&words, streams)?.code)
}
