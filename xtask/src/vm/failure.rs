//! How running a machine can fail other than by its command's own exit code.

use std::path::PathBuf;

/// Why there is no result, or one that cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The time was up.
    #[error("the guest did not finish within {seconds} s; its console ({}) ends with:\n{tail}", log.display())]
    Timeout {
        /// The limit.
        seconds: u64,
        /// The whole console.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The guest's kernel panicked.
    #[error("the guest's kernel panicked: {reason}\nits console ({}) ends with:\n{tail}", log.display())]
    Panic {
        /// The line that says why.
        reason: String,
        /// The whole console.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The command ended, but the kernel printed warnings meanwhile.
    #[error("the command ended with code {code}, but the guest's kernel complained (the whole console is in {}):\n    {}", log.display(), some(lines))]
    Complaint {
        /// The command's exit code.
        code: i32,
        /// What the kernel printed.
        lines: Vec<String>,
        /// The whole console.
        log: PathBuf,
    },
    /// The machine ended and nobody said how the command did.
    #[error("the machine ended before the command did; its console ({}) ends with:\n{tail}", log.display())]
    Ended {
        /// The whole console.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The guest did not get as far as the command.
    #[error("the guest cannot run the command: {why} (its console is in {})", log.display())]
    Guest {
        /// What it said.
        why: String,
        /// The whole console.
        log: PathBuf,
    },
    /// The host's disk is full, so QEMU has paused the guest, or soon would.
    #[error("no room for what the guest writes: {mib} MiB are left in {} (free some, or name another directory in TMPDIR)", directory.display())]
    Full {
        /// Where its disks are.
        directory: PathBuf,
        /// What is left there.
        mib: u64,
    },
    /// We were told to stop.
    #[error("stopped by signal {0}")]
    Interrupted(i32),
    /// Something on this side of the machine.
    #[error("{0:#}")]
    Host(#[from] anyhow::Error),
}

/// The first of many lines; one fault of a kernel often makes hundreds.
fn some(lines: &[String]) -> String {
    const FIRST: usize = 20;
    let more = lines.len().saturating_sub(FIRST);
    let mut text = lines[..lines.len() - more].join("\n    ");
    if more > 0 {
        text.push_str(&format!("\n    and {more} more"));
    }
    text
}

impl Failure {
    /// The first line of the message.
    #[must_use]
    pub fn headline(&self) -> String {
        self.to_string().lines().next().unwrap_or_default().to_owned()
    }

    /// The exit code for it: as timeout(1) for a time-out, as a shell for a signal, otherwise 125,
    /// which few commands use themselves.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Timeout { .. } => 124,
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            _ => 125,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Host(error.into())
    }
}
