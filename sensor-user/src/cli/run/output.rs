//! What `picket run` says: a line a violation on stderr, a JSON object a violation in the log, and
//! a summary.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::verdict::Verdict;

use crate::cli::remark;
use crate::event::json::Line;
use crate::event::{Context, Event, boot_time, human, json};
use crate::launch::LaunchError;

/// Where it goes.
pub struct Output {
    log: Option<File>,
    quiet: bool,
    /// The wall clock at boot, by which events are dated.
    boot: SystemTime,
    denied: u64,
    reported: u64,
}

impl Output {
    /// Opens the log, which must be possible before anything is started.
    pub fn open(log: Option<&Path>, quiet: bool) -> anyhow::Result<Output> {
        let open = |path: &Path| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)
                .with_context(|| format!("cannot open the log {}", path.display()))
        };
        let log = log.map(open).transpose()?;
        Ok(Output { log, quiet, boot: boot_time(), denied: 0, reported: 0 })
    }

    /// Reports one violation. A log that cannot be written to any more is said to be so once, and
    /// left: the fence does not depend on it.
    pub fn event(&mut self, event: &Event, context: Context<'_>) {
        match event.verdict {
            Verdict::Deny | Verdict::Ask => self.denied += 1,
            Verdict::Allow | Verdict::Audit => self.reported += 1,
        }
        if let Some(mut log) = self.log.take() {
            match self.append(&mut log, event, context.clone()) {
                Ok(()) => self.log = Some(log),
                Err(error) => self.trouble(&format!("cannot write to the log any more: {error}")),
            }
        }
        if !self.quiet {
            remark(&human::line(event, context));
        }
    }

    /// Reports a line of the daemon's stream.
    pub fn line(&mut self, text: &str) {
        let Ok(line) = Line::parse(text) else {
            return self.trouble(&"the daemon says something that this picket does not know");
        };
        let (violation, repeats) = match &line {
            Line::Violation(violation) => (violation, None),
            Line::Repeat(repeat) => (&Box::new(repeat.last.clone()), Some(repeat.repeats)),
            Line::Gap(gap) => {
                return self
                    .trouble(&format!("up to {} violations are not shown here", gap.missed));
            }
            // In the summary.
            Line::Loss(_) | Line::Notice(_) => return,
        };
        let count = repeats.unwrap_or(1);
        match &*violation.verdict {
            "allow" | "audit" => self.reported += count,
            _ => self.denied += count,
        }
        if let Some(mut log) = self.log.take() {
            match log.write_all(format!("{text}\n").as_bytes()) {
                Ok(()) => self.log = Some(log),
                Err(error) => self.trouble(&format!("cannot write to the log any more: {error}")),
            }
        }
        if !self.quiet {
            remark(&human::from_stream(violation, repeats));
        }
    }

    fn append(&self, log: &mut File, event: &Event, context: Context<'_>) -> io::Result<()> {
        let time = self.boot + Duration::from_nanos(event.header.time);
        // One write a line, so that a line is never half there for whoever follows the file.
        log.write_all(
            Line::violation(event, context, time, json::Process::default()).text().as_bytes(),
        )
    }

    /// Says why the command was not started.
    pub fn failed(&self, error: &LaunchError) {
        self.trouble(error);
    }

    /// Says that something went wrong.
    pub fn trouble(&self, error: &dyn std::fmt::Display) {
        let style = anstyle::AnsiColor::Red.on_default().bold();
        remark(&format!("{style}picket{style:#}: {error}"));
    }

    /// Says what there was.
    pub fn summary(
        &self,
        lost: u64,
        faults: &[(Hook, Fault, u64)],
        ended: usize,
        took: Duration,
    ) -> anyhow::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let seconds = took.as_secs_f64();
        let mut line = format!("picket: {} refused", self.denied);
        if self.reported > 0 {
            line += &format!(", {} reported", self.reported);
        }
        if lost > 0 {
            line += &format!(", {lost} more of which no event could be kept");
        }
        for (hook, fault, count) in faults {
            let (hook, fault) = (hook.name().unwrap_or("?"), fault.name().unwrap_or("?"));
            line += &format!(", {count} faults in {hook} ({fault})");
        }
        if ended > 0 {
            line += &format!(", {ended} processes left behind and ended");
        }
        remark(&format!("{line}, in {seconds:.1} s"));
        Ok(())
    }
}
