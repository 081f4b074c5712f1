//! How lines are shown: as they are, or one short line each for people.

use std::io::{self, IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::event::json::{Line, Violation};
use crate::event::subject::printable;

/// Columns that a line has at most.
const COLUMNS: usize = 100;
/// Columns before the object: time, verdict, rights.
const HEAD: usize = 8 + 1 + 6 + 1 + RIGHTS + 1;
const RIGHTS: usize = 10;
/// Columns that an object gets at least.
const OBJECT: usize = 28;
/// Columns that agent and process get at most where there is not room for all.
const WHO: usize = 26;

/// What every line has.
#[derive(serde::Deserialize)]
struct Numbered {
    n: Option<u64>,
}

/// Shows lines.
pub struct Show {
    json: bool,
    out: Box<dyn Write>,
    /// The day that was last named.
    day: String,
    columns: usize,
}

impl Show {
    /// As they are, or for people.
    pub fn new(json: bool) -> Show {
        let out: Box<dyn Write> =
            if json { Box::new(io::stdout()) } else { Box::new(anstream::stdout()) };
        let wide = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
        let columns = wide.map_or(COLUMNS, |(wide, _)| usize::from(wide.0).clamp(60, COLUMNS));
        Show { columns, ..Show::to(out, json) }
    }

    /// To somewhere else.
    pub fn to(out: Box<dyn Write>, json: bool) -> Show {
        Show { json, out, day: String::new(), columns: COLUMNS }
    }

    /// Shows a line; its number.
    pub fn line(&mut self, text: &str) -> io::Result<Option<u64>> {
        // Also of lines that this version does not know.
        let n = serde_json::from_str::<Numbered>(text).ok().and_then(|line| line.n);
        if self.json {
            writeln!(self.out, "{text}")?;
            self.out.flush()?;
            return Ok(n);
        }
        match &Line::parse(text) {
            Ok(line) => {
                let human = self.human(line);
                let time = &line.head().time;
                if let Some((day, _)) = time.split_once('T').filter(|(day, _)| *day != self.day) {
                    let dim = Style::new().dimmed();
                    writeln!(self.out, "{dim}{} (UTC){dim:#}", printable(day.as_bytes()))?;
                    self.day = day.to_owned();
                }
                writeln!(self.out, "{human}")?;
            }
            // Of a version to come: better shown than left out.
            Err(_) => writeln!(self.out, "{}", cut(&printable(text.as_bytes()), self.columns))?,
        }
        self.out.flush()?;
        Ok(n)
    }

    /// The line for people. Styled; whoever prints it strips the styles where there is no terminal.
    fn human(&self, line: &Line<'_>) -> String {
        let time = clock(&line.head().time);
        let rest = self.columns - 8 - 1 - 6 - 1;
        let other = |style: Style, word: &str, text: String| {
            format!("{time} {style}{word:<6}{style:#} {}", cut(&printable(text.as_bytes()), rest))
        };
        match line {
            Line::Violation(violation) => self.violation(violation, None),
            Line::Repeat(repeat) => self.violation(&repeat.last, Some(repeat.repeats)),
            Line::Loss(loss) => other(
                AnsiColor::Red.on_default().bold(),
                "lost",
                format!(
                    "{} violations of {} ({}): {}",
                    loss.lost,
                    loss.of.agent,
                    loss.of.agent_id,
                    match &*loss.cause {
                        "ring" => "they found no room on their way",
                        _ => "repeats that a killed daemon had not said yet",
                    }
                ),
            ),
            Line::Gap(gap) if gap.sink == "api" => other(
                AnsiColor::Red.on_default().bold(),
                "missed",
                format!("up to {} lines: they came faster than they were read", gap.missed),
            ),
            Line::Gap(gap) => other(
                AnsiColor::Red.on_default().bold(),
                "missed",
                format!("{} lines, by the sink {}", gap.missed, gap.sink),
            ),
            Line::Notice(notice) => {
                let mut text = notice.what.to_string();
                if let Some(of) = &notice.of {
                    text += &format!(": {} ({}) under {}", of.agent, of.agent_id, of.policy);
                }
                if let Some(detail) = &notice.detail {
                    text += &format!(": {}", detail.lines().next().unwrap_or_default());
                }
                other(Style::new().dimmed(), "note", text)
            }
        }
    }

    /// Time, verdict, rights, object, who, why.
    fn violation(&self, v: &Violation<'_>, repeats: Option<u64>) -> String {
        let colour = match &*v.verdict {
            "deny" => AnsiColor::Red,
            "ask" => AnsiColor::Magenta,
            "audit" => AnsiColor::Yellow,
            _ => AnsiColor::Green,
        };
        let style = colour.on_default().bold();
        let rights = if v.because.is_empty() { v.op.to_string() } else { v.because.join("+") };
        let mut object = v.subject.clone().unwrap_or_else(|| v.op.to_string());
        if let Some(peer) = &v.peer {
            object += &format!(" -> {peer}");
        }
        let times = repeats.map_or_else(String::new, |count| format!(" ×{count}"));
        let who = format!("{} {}[{}]{times}", v.of.agent, v.comm, v.pid);
        let why = why(v);
        let clean = |text: &str| printable_again(text);
        let (object, who, why) = (clean(&object), clean(&who), clean(&why));
        // The object first, then who, then why; but a little of each.
        let room = self.columns - HEAD - 4;
        let who_room = who.width().min(WHO.max(room.saturating_sub(object.width() + why.width())));
        let object_room =
            object.width().min(OBJECT.max(room.saturating_sub(who_room + why.width())));
        let why_room = room.saturating_sub(who_room + object_room);
        let (time, verdict) = (clock(&v.head.time), &*v.verdict);
        let dim = Style::new().dimmed();
        format!(
            "{time} {style}{verdict:<6}{style:#} {:<RIGHTS$} {}  {}  {dim}{}{dim:#}",
            cut(&clean(&rights), RIGHTS),
            cut_middle(&object, object_room),
            cut(&who, who_room),
            cut(&why, why_room),
        )
        .trim_end()
        .to_owned()
    }
}

/// Why it was not allowed.
fn why(v: &Violation<'_>) -> String {
    if let Some(fault) = &v.fault {
        return fault.to_string();
    }
    let Some(rule) = &v.rule else { return "nothing allows it".to_owned() };
    let file = rule.file.rsplit('/').next().unwrap_or_default();
    let place = if rule.line == 0 { file.to_owned() } else { format!("{file}:{}", rule.line) };
    match &rule.reason {
        Some(reason) => format!("{reason} ({place})"),
        None => place,
    }
}

/// `10:21:07` of a time.
fn clock(time: &str) -> String {
    let clock = time.split_once('T').map_or(time, |(_, clock)| clock);
    printable(clock.get(..8).unwrap_or(clock).as_bytes())
}

/// Text that was made printable before, in one line again: its escapes stay as they are.
fn printable_again(text: &str) -> String {
    text.split('\\').map(|part| printable(part.as_bytes())).collect::<Vec<_>>().join("\\")
}

/// The beginning of a text, in so many columns.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// Beginning and end of a text, in so many columns: what matters of a path is at both.
fn cut_middle(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let before = cut(text, columns / 3);
    let mut left = columns.saturating_sub(before.width());
    let mut end: Vec<char> = Vec::new();
    for c in text.chars().rev() {
        let width = c.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        end.push(c);
    }
    before + &end.into_iter().rev().collect::<String>()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::event::json::Subject;

    fn strip(line: &str) -> String {
        anstream::adapter::strip_str(line).to_string()
    }

    fn show() -> Show {
        Show::to(Box::new(io::sink()), false)
    }

    fn violation(subject: &str, reason: &str) -> Line<'static> {
        let text = serde_json::json!({
            "type": "violation", "v": 1, "n": 7, "time": "2026-05-17T10:21:07.123456Z", "boot": "b",
            "agent": "coder", "agent_id": "3.17", "owner": 1000, "policy": "coding-agent",
            "version": "0011", "seq": 1, "lost": 0, "verdict": "deny", "op": "file_open",
            "requested": ["read"], "because": ["read"], "subject": subject, "errno": "EACCES",
            "rule": { "file": "/etc/picket/policies/coding-agent.yaml", "line": 12, "reason": reason },
            "pid": 1234, "tid": 1234, "ppid": 1, "uid": 1000, "gid": 1000, "comm": "cat",
            "start": 1, "cgroup": 1
        });
        Line::parse(&text.to_string()).unwrap()
    }

    #[test]
    fn every_line_fits() {
        let show = show();
        let line = strip(&show.human(&violation("/home/u/.ssh/id_rsa", "private keys")));
        assert_eq!(
            line,
            "10:21:07 deny   read       /home/u/.ssh/id_rsa  coder cat[1234]  \
             private keys (coding-agent.yaml:12)"
        );
        let long = format!("/home/{}/deep/secret.pem", "x/".repeat(100));
        for (subject, reason) in
            [(long.as_str(), "r"), ("/a", &long), (&long, &long), (&"ü漢".repeat(60), "字")]
        {
            let line = strip(&show.human(&violation(subject, reason)));
            assert!(line.width() <= COLUMNS, "{} {line}", line.width());
        }
        let line = strip(&show.human(&violation(&long, "private keys")));
        assert!(line.contains("secret.pem") && line.contains("/home/"), "{line}");
        for line in [
            Line::notice("something", None, Some(&long)),
            Line::gap("api", 12),
            Line::loss(
                Subject {
                    agent: long.clone().into(),
                    agent_id: "1.1".into(),
                    owner: None,
                    policy: "p".into(),
                    version: "v".into(),
                },
                3,
                4,
                SystemTime::UNIX_EPOCH,
            ),
        ] {
            let line = strip(&show.human(&line));
            assert!(line.width() <= COLUMNS, "{line}");
        }
    }

    #[test]
    fn nothing_in_a_line_drives_the_terminal() {
        let line = strip(&show().human(&violation("/a\n\x1b[2J\\x0a", "b\r")));
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.contains("\\x0a\\x1b[2J\\x0a"), "{line}");
    }

    #[test]
    fn a_line_of_a_version_to_come_is_shown_as_it_is_and_counts() {
        let mut show = show();
        let text = "{\"v\":2,\"n\":12,\"type\":\"other\"}";
        assert_eq!(show.line(text).unwrap(), Some(12));
        assert_eq!(show.line("no line at all").unwrap(), None);
    }
}
