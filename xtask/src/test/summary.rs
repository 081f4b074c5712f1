//! Counting: what libtest says of a run, and the table at the end.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::{Duration, Instant},
};

/// What the summary lines of a run add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that were not run because they are marked so.
    pub ignored: u64,
}

impl Counts {
    /// Adds one line of output, if it is a summary: `test result: ok. 3 passed; 0 failed; …`.
    pub fn take(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        let Some((_, rest)) = rest.split_once(". ") else {
            return;
        };
        for part in rest.split("; ") {
            let Some((number, what)) = part.split_once(' ') else {
                continue;
            };
            let number = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Tests that ran.
    pub fn ran(&self) -> u64 {
        self.passed + self.failed
    }
}

/// Passes output on as it comes, and counts.
pub struct Counting<W> {
    to: W,
    line: Vec<u8>,
    /// So far.
    pub counts: Counts,
}

impl<W: io::Write> Counting<W> {
    /// Passes on to `to`.
    pub fn new(to: W) -> Self {
        Self { to, line: Vec::new(), counts: Counts::default() }
    }
}

impl<W: io::Write> io::Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write_all(bytes)?;
        for byte in bytes {
            if *byte == b'\n' {
                self.counts.take(&String::from_utf8_lossy(&self.line));
                self.line.clear();
            } else {
                self.line.push(*byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// One line of the table.
#[derive(Debug)]
struct Part {
    name: String,
    counts: Counts,
    took: Duration,
    /// Why it is not good although no test may have failed.
    trouble: Option<String>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Summary {
    parts: Vec<Part>,
}

impl Summary {
    /// Adds a part that took from `start` until now. A part in trouble has failed once more than
    /// its tests say.
    pub fn add(&mut self, name: &str, start: Instant, mut counts: Counts, trouble: Option<String>) {
        if trouble.is_some() && counts.failed == 0 {
            counts.failed = 1;
        }
        self.parts.push(Part { name: name.to_owned(), counts, took: start.elapsed(), trouble });
    }

    /// Adds what another has.
    pub fn join(&mut self, other: Self) {
        self.parts.extend(other.parts);
    }

    /// Whether something ran and nothing failed.
    pub fn good(&self) -> bool {
        let total = self.total();
        total.passed > 0 && total.failed == 0
    }

    /// Prints the table; the exit code for it.
    pub fn print(&self) -> ExitCode {
        print!("{}", self.table(io::stdout().is_terminal()));
        if self.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        for part in &self.parts {
            total.passed += part.counts.passed;
            total.failed += part.counts.failed;
            total.ignored += part.counts.ignored;
        }
        total
    }

    /// The table, and the line that counts everything.
    pub fn table(&self, colour: bool) -> String {
        let (red, plain) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        let mut text = format!("\n{:<14}{:>8}{:>8}{:>10}\n", "", "passed", "failed", "seconds");
        for Part { name, counts, took, trouble } in &self.parts {
            let (on, off) = if counts.failed > 0 { (red, plain) } else { ("", "") };
            let seconds = took.as_secs_f64();
            let _ = write!(
                text,
                "{on}{name:<14}{:>8}{:>8}{seconds:>10.1}",
                counts.passed, counts.failed
            );
            if let Some(why) = trouble {
                let _ = write!(text, "  {why}");
            }
            let _ = writeln!(text, "{off}");
        }
        let Counts { passed, failed, ignored } = self.total();
        let skipped = if ignored > 0 { format!(", {ignored} skipped") } else { String::new() };
        let _ = writeln!(text, "\n{passed} passed, {failed} failed{skipped}");
        text
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn summary_lines_are_counted_wherever_the_output_is_cut() {
        let mut out = Counting::new(Vec::new());
        let text = "running 2 tests\ntest a ... ok\ntest result: ok. 2 passed; 0 failed; 1 ignored; \
                    0 measured; 0 filtered out; finished in 0.00s\r\n\
                    test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured\ntest result: x\n";
        for piece in text.as_bytes().chunks(7) {
            out.write_all(piece).unwrap();
        }
        assert_eq!(out.counts, Counts { passed: 5, failed: 4, ignored: 1 });
        assert_eq!(out.to, text.as_bytes());
    }

    #[test]
    fn trouble_without_a_failed_test_is_a_failure() {
        let mut summary = Summary::default();
        assert!(!summary.good(), "nothing ran");
        let passed = Counts { passed: 3, ..Counts::default() };
        summary.add("one", Instant::now(), passed, None);
        assert!(summary.good());
        summary.add("two", Instant::now(), passed, Some("the kernel complained".to_owned()));
        assert!(!summary.good());
        let table = summary.table(false);
        assert!(table.ends_with("\n\n6 passed, 1 failed\n"), "{table}");
        assert!(table.contains("the kernel complained\n"), "{table}");
    }
}
