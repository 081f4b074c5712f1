//! What sinks that are no files say of a record: how bad it is, and a short text.

use super::super::hub::Record;
use crate::event::json::{Line, Violation};

/// How bad something is, as syslog and the journal count it (`syslog(3)`).
#[must_use]
pub fn priority(record: &Record) -> u8 {
    match (record.kind, record.verdict.as_deref()) {
        ("loss" | "gap", _) => 3,
        (_, Some("audit" | "allow")) => 5,
        ("violation" | "repeat", _) => 4,
        _ => 6,
    }
}

/// A record in one line of text.
#[must_use]
pub fn summary(record: &Record) -> String {
    match Line::parse(&record.text) {
        Ok(Line::Violation(v)) => violation(&v),
        Ok(Line::Repeat(repeat)) => {
            format!("{} ({} times more)", violation(&repeat.last), repeat.repeats)
        }
        Ok(Line::Loss(loss)) => {
            format!("{} violations of {} were lost on their way", loss.lost, loss.of.agent)
        }
        Ok(Line::Gap(gap)) => format!("{} lines were missed by {}", gap.missed, gap.sink),
        Ok(Line::Notice(notice)) => {
            let mut text = notice.what.to_string();
            if let Some(of) = &notice.of {
                text += &format!(": {} ({})", of.agent, of.agent_id);
            }
            if let Some(detail) = &notice.detail {
                text += &format!(": {}", detail.lines().next().unwrap_or_default());
            }
            text
        }
        Err(_) => record.text.trim_end().to_owned(),
    }
}

fn violation(v: &Violation<'_>) -> String {
    let what = if v.because.is_empty() { v.op.to_string() } else { v.because.join("+") };
    let mut text = format!("{} {what}", v.verdict);
    if let Some(subject) = &v.subject {
        text += &format!(" {subject}");
    }
    if let Some(peer) = &v.peer {
        text += &format!(" -> {peer}");
    }
    text += &format!(" by {}[{}] of {}", v.comm, v.pid, v.of.agent);
    match (&v.fault, &v.rule) {
        (Some(fault), _) => text + &format!(" ({fault})"),
        (None, Some(rule)) => {
            let reason = rule.reason.as_deref().map(|reason| format!("{reason}, "));
            text + &format!(" ({}{}:{})", reason.unwrap_or_default(), rule.file, rule.line)
        }
        (None, None) => text + " (nothing allows it)",
    }
}
