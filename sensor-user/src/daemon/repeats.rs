//! Violations like one that was said in full shortly before are counted, and said once, with how many
//! there were. Nothing is left out of the count.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::event::json::{Repeat, Violation};

/// Kinds of violations that are counted at once; more are said in full.
const OPEN_MAX: usize = 4096;

/// What is being counted.
#[derive(Default)]
pub struct Repeats {
    window: Duration,
    open: HashMap<String, Open>,
    /// When each window ends, the first to end first.
    due: VecDeque<(Instant, String)>,
}

/// A window: the violation that opened it was said.
#[derive(Default)]
struct Open {
    repeats: u64,
    first: String,
    first_seq: u64,
    last: Option<Violation<'static>>,
}

impl Repeats {
    /// Counts within windows of this length; with none, everything is said.
    pub fn set_window(&mut self, window: Duration) {
        self.window = window;
    }

    /// Gives a violation back that is to be said in full; else it was counted.
    pub fn take(&mut self, v: Violation<'static>, now: Instant) -> Option<Violation<'static>> {
        if self.window.is_zero() {
            return Some(v);
        }
        let key = key(&v);
        if let Some(open) = self.open.get_mut(&key) {
            if open.repeats == 0 {
                open.first.clone_from(&v.head.time);
                open.first_seq = v.seq;
            }
            open.repeats += 1;
            open.last = Some(v);
            return None;
        }
        if self.open.len() < OPEN_MAX {
            self.due.push_back((now + self.window, key.clone()));
            self.open.insert(key, Open::default());
        }
        Some(v)
    }

    /// When the next window ends.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.front().map(|(due, _)| *due)
    }

    /// What was counted in windows that have ended. One in which something was goes on as a new one.
    pub fn due(&mut self, now: Instant) -> Vec<Repeat<'static>> {
        let mut done = Vec::new();
        while self.next_due().is_some_and(|due| due <= now)
            && let Some((_, key)) = self.due.pop_front()
        {
            let Some(open) = self.open.get_mut(&key) else { continue };
            match std::mem::take(open).close() {
                Some(repeat) => {
                    done.push(repeat);
                    self.due.push_back((now + self.window, key));
                }
                None => {
                    self.open.remove(&key);
                }
            }
        }
        done
    }

    /// What was counted of an agent, or of all; their windows end.
    pub fn flush(&mut self, agent_id: Option<&str>) -> Vec<Repeat<'static>> {
        let mut done = Vec::new();
        self.open.retain(|key, open| {
            let of = key.split('\0').next();
            let ends = agent_id.is_none_or(|agent| of == Some(agent));
            if ends {
                done.extend(std::mem::take(open).close());
            }
            !ends
        });
        let open = &self.open;
        self.due.retain(|(_, key)| open.contains_key(key));
        done.sort_by_key(|repeat| repeat.first_seq);
        done
    }
}

impl Open {
    fn close(self) -> Option<Repeat<'static>> {
        let (repeats, first, first_seq) = (self.repeats, self.first, self.first_seq);
        self.last.map(|last| Repeat { repeats, first, first_seq, last })
    }
}

/// What violations have in common that are of one kind; the agent's id first. No part of it can have
/// a NUL in it.
fn key(v: &Violation<'_>) -> String {
    let part = |text: Option<&str>| text.unwrap_or("\x01").to_owned();
    let rule = v.rule.as_ref().map(|rule| format!("{}:{}", rule.file, rule.line));
    [
        v.of.agent_id.to_string(),
        v.of.version.to_string(),
        v.process.exe.clone().unwrap_or_else(|| v.comm.clone()),
        v.op.to_string(),
        v.verdict.to_string(),
        v.requested.join("+"),
        v.because.join("+"),
        part(v.subject.as_deref()),
        part(v.peer.as_deref()),
        part(v.errno.as_deref()),
        part(v.fault.as_deref()),
        part(rule.as_deref()),
    ]
    .join("\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::Line;

    fn violation(agent: &str, seq: u64, subject: &str) -> Violation<'static> {
        let text = serde_json::json!({
            "type": "violation", "v": 1, "time": format!("2026-05-17T10:21:07.{seq:06}Z"),
            "boot": "b", "agent": "coder", "agent_id": agent, "owner": 0, "policy": "p",
            "version": "0011", "seq": seq, "lost": 0, "verdict": "deny", "op": "file_open",
            "requested": ["read"], "because": ["read"], "subject": subject, "errno": "EACCES",
            "pid": 1, "tid": 1, "ppid": 1, "uid": 0, "gid": 0, "comm": "cat", "start": 1, "cgroup": 1
        });
        match Line::parse(&text.to_string()).unwrap() {
            Line::Violation(violation) => *violation,
            other => panic!("{other:?}"),
        }
    }

    const WINDOW: Duration = Duration::from_secs(1);

    fn repeats() -> Repeats {
        Repeats { window: WINDOW, ..Repeats::default() }
    }

    #[test]
    fn the_first_is_said_at_once_and_the_rest_is_counted() {
        let (mut repeats, start) = (repeats(), Instant::now());
        assert!(repeats.take(violation("1.1", 0, "/a"), start).is_some());
        for seq in 1..=5 {
            assert!(repeats.take(violation("1.1", seq, "/a"), start).is_none());
        }
        assert!(repeats.take(violation("1.1", 6, "/b"), start).is_some(), "another object");
        assert!(repeats.take(violation("2.1", 0, "/a"), start).is_some(), "another agent");
        assert!(repeats.due(start).is_empty(), "no window has ended");
        let said = repeats.due(start + WINDOW);
        assert_eq!(said.len(), 1);
        let Repeat { repeats: count, first, first_seq, last } = &said[0];
        assert_eq!((*count, *first_seq, last.seq), (5, 1, 5));
        assert_eq!(
            (first.as_str(), &last.head.time[20..26]),
            ("2026-05-17T10:21:07.000001Z", "000005")
        );
        // A flood goes on being counted; then comes quiet, and the next is said again.
        assert!(repeats.take(violation("1.1", 7, "/a"), start + WINDOW).is_none());
        assert!(repeats.take(violation("1.1", 8, "/b"), start + WINDOW).is_some());
        assert_eq!(repeats.due(start + 2 * WINDOW)[0].repeats, 1);
        assert!(repeats.due(start + 4 * WINDOW).is_empty());
        assert!(repeats.open.is_empty() && repeats.due.is_empty());
        assert!(repeats.take(violation("1.1", 9, "/a"), start + 4 * WINDOW).is_some());
    }

    #[test]
    fn whatever_comes_each_is_said_or_counted_once() {
        let (mut repeats, start) = (repeats(), Instant::now());
        let (mut said, mut counted, mut all) = (0, 0, 0);
        for round in 0..20_000_u64 {
            let now = start + Duration::from_millis(round);
            let subject = format!("/{}", round * round % 7919);
            all += 1;
            said += u64::from(repeats.take(violation("1.1", round, &subject), now).is_some());
            counted += repeats.due(now).iter().map(|repeat| repeat.repeats).sum::<u64>();
            assert!(repeats.open.len() <= OPEN_MAX && repeats.due.len() <= OPEN_MAX);
        }
        counted += repeats.flush(Some("2.1")).iter().map(|repeat| repeat.repeats).sum::<u64>();
        assert!(!repeats.open.is_empty());
        counted += repeats.flush(Some("1.1")).iter().map(|repeat| repeat.repeats).sum::<u64>();
        assert!(counted > 0 && repeats.open.is_empty() && repeats.due.is_empty());
        assert_eq!(said + counted, all);
    }

    #[test]
    fn without_a_window_everything_is_said() {
        let mut repeats = Repeats::default();
        for seq in 0..3 {
            assert!(repeats.take(violation("1.1", seq, "/a"), Instant::now()).is_some());
        }
    }
}
