//! A machine to run one command on: what is asked of it, and running it. The other verbs' way in. What QEMU is
//! given for that is put together in [`parts`].

mod parts;

use std::{
    ffi::{OsStr, OsString},
    io::Write,
    os::unix::net::UnixListener,
    path::{Component, Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use super::{
    accel,
    console::ConsoleFile,
    failure::Failure,
    qemu::{Accel, Qemu},
    room, session,
    terminal::{self, Input},
};
use crate::setup::{
    self, Need,
    kernels::{self, Kernel},
    userland,
};

/// Where the command's output goes and its input comes from.
pub struct Streams<'a> {
    /// Standard input.
    pub stdin: Input,
    /// Standard output, written as it comes; not flushed by lines.
    pub stdout: &'a mut dyn Write,
    /// Standard error.
    pub stderr: &'a mut dyn Write,
}

/// How a command ended on a machine that behaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The command's exit code; 128 + n for signal n.
    pub code: i32,
    /// From starting QEMU to starting the command.
    pub boot: Duration,
    /// The kernel's console.
    pub console: PathBuf,
}

/// An [`Outcome`] with all that the command wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub outcome: Outcome,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Injected {
    from: PathBuf,
    to: String,
    mode: u32,
}

/// A machine that can be booted any number of times, each time afresh.
///
/// ```no_run
/// # use xtask::{setup::kernels::Kernel, vm::{Machine, programs}};
/// # fn main() -> anyhow::Result<()> {
/// let machine = Machine::new(Kernel::V6_12)
///     .inject(programs::picket()?, "/usr/local/bin/picket", 0o755)?
///     .smp(1);
/// let output = machine.output(["picket", "--version"])?;
/// assert_eq!(output.outcome.code, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Machine {
    kernel: Kernel,
    smp: u32,
    parallel: bool,
    memory: u32,
    icount: bool,
    accel: Option<Accel>,
    timeout: Duration,
    append: Vec<String>,
    systemd: bool,
    env: Vec<(OsString, OsString)>,
    shares: Vec<PathBuf>,
    injected: Vec<Injected>,
}

impl Machine {
    /// A machine with two processors, 1 GiB of memory and ten minutes of time.
    #[must_use]
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            smp: 2,
            parallel: false,
            memory: 1024,
            icount: false,
            accel: None,
            timeout: Duration::from_secs(600),
            append: Vec::new(),
            systemd: false,
            env: Vec::new(),
            shares: Vec::new(),
            injected: Vec::new(),
        }
    }

    /// How many processors it has.
    #[must_use]
    pub fn smp(mut self, processors: u32) -> Self {
        self.smp = processors;
        self
    }

    /// Gives each emulated processor a thread of its own, for races that should be as close as they
    /// get. The guest's kernel may then panic by the emulator's fault, as one of sixty did while it booted;
    /// without it, processors take turns, and what is raced is interrupted instead.
    #[must_use]
    pub fn parallel(mut self) -> Self {
        self.parallel = true;
        self
    }

    /// How much memory it has, in MiB.
    #[must_use]
    pub fn memory(mut self, mib: u32) -> Self {
        self.memory = mib;
        self
    }

    /// Makes guest time count instructions, one nanosecond each, so that what is measured inside
    /// is the same on every run: one processor, no address randomisation of processes.
    #[must_use]
    pub fn icount(mut self) -> Self {
        self.icount = true;
        self.smp = 1;
        self
    }

    /// Executes instructions this way; otherwise by KVM where that works.
    #[must_use]
    pub fn accel(mut self, accel: Accel) -> Self {
        self.accel = Some(accel);
        self
    }

    /// How long everything may take, boot included.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Adds to the kernel's command line.
    #[must_use]
    pub fn append(mut self, parameters: impl Into<String>) -> Self {
        self.append.push(parameters.into());
        self
    }

    /// Has systemd run the machine, as on a host where people work; the command runs beside it, once it
    /// has started what it starts.
    #[must_use]
    pub fn systemd(mut self) -> Self {
        self.systemd = true;
        self
    }

    /// Sets a variable of the command's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Shows the guest a directory, read-only, as it is when the machine starts, at `/share/` and
    /// its last component. Packed into a disk for each run, since these kernels have no 9p.
    ///
    /// # Errors
    /// When it is no directory or has no name, or another share has the same.
    pub fn share(mut self, dir: impl AsRef<Path>) -> Result<Self> {
        let given = dir.as_ref();
        let dir =
            given.canonicalize().with_context(|| format!("cannot share {}", given.display()))?;
        ensure!(dir.is_dir(), "cannot share {}: it is no directory", given.display());
        let Some(name) = dir.file_name() else {
            bail!("cannot share {}: it has no name", given.display())
        };
        if let Some(other) = self.shares.iter().find(|other| other.file_name() == Some(name)) {
            bail!(
                "{} and {} would both be /share/{}; rename one, or share the directory above",
                other.display(),
                dir.display(),
                name.display()
            );
        }
        self.shares.push(dir);
        Ok(self)
    }

    /// Puts a file of ours, owned by root, at the absolute path `to` of the guest.
    ///
    /// # Errors
    /// When the file is not there, or `to` is not absolute or has `..` in it.
    pub fn inject(mut self, from: impl AsRef<Path>, to: &str, mode: u32) -> Result<Self> {
        let from = from.as_ref();
        ensure!(from.is_file(), "cannot put {} into the guest: it is no file", from.display());
        let path = Path::new(to);
        let plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
        ensure!(
            path.is_absolute() && plain,
            "{to} is no place for a file: give an absolute path without .."
        );
        self.injected.push(Injected {
            from: from.to_owned(),
            to: to.trim_start_matches('/').to_owned(),
            mode,
        });
        Ok(self)
    }

    /// Boots, runs `command`, powers off.
    ///
    /// # Errors
    /// When the command did not come to its end, or did while the kernel complained.
    pub fn run<W: AsRef<OsStr>>(
        &self,
        command: impl IntoIterator<Item = W>,
        streams: Streams<'_>,
    ) -> Result<Outcome, Failure> {
        let command: Vec<OsString> =
            command.into_iter().map(|word| word.as_ref().to_owned()).collect();
        if command.is_empty() {
            return Err(anyhow!("no command to run").into());
        }
        // Before anything slow, so that Ctrl-C is heard from here on.
        let events = session::Events::listen()?;
        let cache = setup::ensure(&[Need::Machine, Need::Kernel(self.kernel)])?;
        let accel = match self.accel {
            _ if self.icount => Accel::Tcg,
            Some(accel) => accel,
            None => accel::choose(&cache, self.kernel),
        };
        let kernel =
            kernels::find(&cache, self.kernel).context("the kernel has gone from the cache")?;
        let root = userland::find(&cache).context("the userland has gone from the cache")?;
        let scratch = tempfile::Builder::new()
            .prefix("picket-vm-")
            .tempdir()
            .context("no temporary directory")?;
        let terminal = matches!(streams.stdin, Input::Inherit) && terminal::interactive();
        room::check(scratch.path())?;
        let task = self.task(command, terminal);
        self.write_initramfs(&kernel, &task, &scratch)?;
        let console = ConsoleFile::take(self.kernel.name())?;
        let hardware = self.hardware(accel, kernel, root, &scratch, &console.path)?;
        let listener =
            UnixListener::bind(&hardware.socket).context("cannot listen for the guest")?;
        let start = Instant::now();
        let qemu = Qemu::start(&hardware)?;
        let limits = session::Limits { start, timeout: self.timeout, disks: scratch.path() };
        session::run(qemu, &listener, &events, &limits, &console.path, terminal, streams)
    }

    /// As [`Machine::run`], without input, and gives all that the command wrote.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn output<W: AsRef<OsStr>>(
        &self,
        command: impl IntoIterator<Item = W>,
    ) -> Result<Output, Failure> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let streams = Streams { stdin: Input::Empty, stdout: &mut stdout, stderr: &mut stderr };
        let outcome = self.run(command, streams)?;
        Ok(Output { outcome, stdout, stderr })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn two_shares_of_one_name_are_refused() {
        let dir = TempDir::new().unwrap();
        let (one, two) = (dir.path().join("a/same"), dir.path().join("b/same"));
        fs::create_dir_all(&one).unwrap();
        fs::create_dir_all(&two).unwrap();
        let machine = Machine::new(Kernel::V6_1).share(&one).unwrap();
        let error = machine.clone().share(&two).unwrap_err().to_string();
        assert!(error.contains("would both be /share/same"), "{error}");
        assert!(machine.share(dir.path().join("missing")).is_err());
        assert!(Machine::new(Kernel::V6_1).share("/").is_err());
    }

    #[test]
    fn files_go_to_plain_absolute_paths_only() {
        let inject = |to| Machine::new(Kernel::V6_1).inject("/bin/sh", to, 0o755).is_ok();
        assert!(inject("/opt/x/test"));
        assert!(!inject("opt/test"));
        assert!(!inject("/opt/../etc/passwd"));
        assert!(Machine::new(Kernel::V6_1).inject("/no such file", "/x", 0o644).is_err());
    }

    #[test]
    fn the_environment_is_the_same_wherever_we_run() {
        let task = Machine::new(Kernel::V6_1).env("TERM", "xterm").task(vec!["true".into()], false);
        let value = |name: &str| {
            task.env.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        assert_eq!(value("HOME"), Some("/root".into()));
        assert_eq!(value("TERM"), Some("xterm".into()));
        assert_eq!(task.terminal, None);
    }
}
