//! Hears the stage line by line, and shows each attempt as soon as it is judged.

use std::io::{self, Write};

use anyhow::{Context as _, Result};

use super::{
    score::{Outcome, Score},
    screen::Screen,
    tidings::{Tiding, Violation},
};

/// The listener. Written to as the stage speaks, in pieces of any length.
pub struct Teller<W: Write> {
    out: W,
    json: bool,
    part: Vec<u8>,
    screen: Option<Screen>,
    group: String,
    violations: Vec<Violation>,
    score: Score,
    ended: bool,
}

impl<W: Write> Teller<W> {
    /// Shows to `out`; as they are, if `json`. Where `may_skip`, not everything need be tried.
    pub fn new(out: W, json: bool, may_skip: bool) -> Self {
        Self {
            out,
            json,
            part: Vec::new(),
            screen: None,
            group: String::new(),
            violations: Vec::new(),
            score: Score::new(may_skip),
            ended: false,
        }
    }

    /// What has been counted.
    pub fn score(&self) -> &Score {
        &self.score
    }

    /// To be called when the stage has said everything: whether it came to its end.
    ///
    /// # Errors
    /// When it broke off in the middle of a line.
    pub fn finish(&mut self) -> Result<bool> {
        let rest = std::mem::take(&mut self.part);
        if !rest.is_empty() {
            self.line(&rest)?;
        }
        Ok(self.ended)
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let text = || String::from_utf8_lossy(line);
        let tiding = serde_json::from_slice(line)
            .with_context(|| format!("the stage said what nobody understands: {}", text()))?;
        if self.json {
            writeln!(self.out, "{}", text())?;
        }
        match tiding {
            Tiding::Stage(stage) => {
                let screen = Screen::new(&stage);
                self.show(&screen.stage(&stage))?;
                self.screen = Some(screen);
            }
            Tiding::Violation { event } => {
                self.score.lost = self.score.lost.max(event.lost);
                self.violations.push(event);
            }
            Tiding::Attempt(attempt) => {
                let violations = std::mem::take(&mut self.violations);
                let outcome = Outcome::of(&attempt, &violations);
                self.score.add(&attempt, outcome);
                let screen = self.screen.as_ref().context("an attempt before the stage is set")?;
                let mut shown = String::new();
                if attempt.group != self.group {
                    self.group.clone_from(&attempt.group);
                    shown = screen.group(&attempt);
                }
                shown += &screen.attempt(&attempt, outcome, &violations);
                self.show(&shown)?;
            }
            Tiding::End(end) => {
                (self.score.left, self.score.still) = (end.left, end.still);
                self.ended = true;
                let screen = self.screen.as_ref().context("the end before the stage is set")?;
                let shown = screen.table(&self.score) + &screen.closing(&self.score, &end);
                self.show(&shown)?;
            }
        }
        Ok(())
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        if !self.json {
            self.out.write_all(text.as_bytes())?;
        }
        self.out.flush()
    }
}

impl<W: Write> Write for Teller<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.part.extend_from_slice(piece);
            if self.part.pop_if(|byte| *byte == b'\n').is_some() {
                let line = std::mem::take(&mut self.part);
                self.line(&line).map_err(|error| io::Error::other(format!("{error:#}")))?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"type": "stage", "kernel": "6.12", "user": "agent", "home": "/home/agent", "base": "/srv"}"#,
        "\n",
        r#"{"type": "violation", "event": {"verdict": "deny", "op": "file_open", "because": ["read"], "subject": "/home/agent/key", "rule": {"reason": "a key"}, "lost": 0}}"#,
        "\n",
        r#"{"type": "attempt", "group": "secrets", "says": "cat key", "honest": false, "control": true, "worked": false, "saw": {"status": 1, "out": "", "err": "cat: Permission denied\n"}, "expected": {"rights": ["read"], "subject": "/home/agent/key"}}"#,
        "\n",
        r#"{"type": "end", "left": 1, "still": 0, "seconds": 1.5}"#,
        "\n",
    );

    fn told(pieces: usize) -> (String, bool) {
        let mut out = Vec::new();
        let mut teller = Teller::new(anstream::StripStream::new(&mut out), false, false);
        for piece in LINES.as_bytes().chunks(pieces) {
            teller.write_all(piece).unwrap();
        }
        let ended = teller.finish().unwrap();
        drop(teller);
        (String::from_utf8(out).unwrap(), ended)
    }

    #[test]
    fn lines_are_heard_in_pieces_of_any_length() {
        let (whole, ended) = told(LINES.len());
        assert!(ended && whole.contains("blocked"), "{whole}");
        assert!(whole.contains("EACCES") && whole.contains("read ~/key (a key)"), "{whole}");
        for pieces in [1, 7, 100] {
            assert_eq!(told(pieces), (whole.clone(), true));
        }
    }

    #[test]
    fn a_stage_that_breaks_off_is_noticed() {
        let mut teller = Teller::new(Vec::new(), true, false);
        teller.write_all(&LINES.as_bytes()[..150]).unwrap();
        assert!(teller.finish().is_err());
        let mut teller = Teller::new(Vec::new(), true, false);
        assert!(teller.write_all(b"Traceback\n").is_err());
        assert!(!Teller::new(Vec::new(), true, false).finish().unwrap());
    }
}
