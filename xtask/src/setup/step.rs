//! Steps: a line when a long one starts, its duration when it is done, and the output of the
//! programs it runs in a log whose path and last lines an error tells.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

/// How much of a failed program's output an error repeats.
const LAST_LINES: usize = 20;

/// Says what is about to be done, does it, says how long it took.
///
/// # Errors
/// Those of `work`, with `what` before them.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("setup: {what} ...");
    let start = Instant::now();
    let done = work().with_context(|| what.to_owned())?;
    eprintln!("setup: {what}: done in {:.1} s", start.elapsed().as_secs_f64());
    Ok(done)
}

/// The log of one step; each program's output is appended to it.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// Begins an empty log at `path`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn begin(path: PathBuf) -> Result<Self> {
        File::create(&path).with_context(|| format!("cannot write the log {}", path.display()))?;
        Ok(Self { path })
    }

    /// Runs a program to its end, with its output in the log and no input.
    ///
    /// # Errors
    /// When the program cannot be started or fails; the message has its command line, its last
    /// lines and the log.
    pub fn run(&self, command: &mut Command) -> Result<()> {
        let out = File::options().append(true).open(&self.path)?;
        let before = out.metadata()?.len();
        let status = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .status()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        if status.success() {
            return Ok(());
        }
        bail!(
            "{} failed ({status}); its last lines:\n{}\nthe whole output is in {}",
            show(command),
            last_lines(&self.path, before)?,
            self.path.display(),
        )
    }
}

/// Runs a short program and gives its standard output.
///
/// # Errors
/// When it cannot be started, fails (its standard error is in the message) or answers in something
/// else than UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let name = show(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{name} answered in something else than UTF-8"))
}

fn last_lines(path: &Path, from: u64) -> Result<String> {
    let text = fs::read(path)?;
    let text = String::from_utf8_lossy(&text[usize::try_from(from)?..]).into_owned();
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(LAST_LINES)..]
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n"))
}

/// A command line as a person would type it.
fn show(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_its_last_words_and_the_log() {
        let path =
            std::env::temp_dir().join(format!("picket-step-test-{}.log", std::process::id()));
        let log = Log::begin(path.clone()).unwrap();
        log.run(Command::new("sh").args(["-c", "echo earlier"])).unwrap();
        let error = log
            .run(Command::new("sh").args(["-c", "echo why >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("sh -c echo why >&2; exit 3 failed (exit status: 3)"), "{error}");
        assert!(error.contains("    why\n") && !error.contains("earlier"), "{error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "earlier\nwhy\n");
        fs::remove_file(path).unwrap();
    }
}
