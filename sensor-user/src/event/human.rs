//! [`Event`] → one line for people.

use anstyle::{AnsiColor, Style};
use sensor_ebpf::verdict::Verdict;

use super::json::Violation;
use super::{Context, Event};

/// How a verdict is coloured.
fn style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Deny => AnsiColor::Red,
        Verdict::Ask => AnsiColor::Magenta,
        Verdict::Audit => AnsiColor::Yellow,
        Verdict::Allow => AnsiColor::Green,
    };
    Style::new().fg_color(Some(colour.into())).bold()
}

/// The line: verdict, rights, subject, who, and the rule with its reason. Styled; whoever prints it
/// strips the styles where there is no terminal.
#[must_use]
pub fn line(event: &Event, context: Context<'_>) -> String {
    let style = style(event.verdict);
    let because: Vec<_> = event.because.names().collect();
    let mut line = format!("picket: {style}{}{style:#}", event.verdict.name());
    if !because.is_empty() {
        line += &format!(" {}", because.join("+"));
    }
    if let Some(subject) = &event.subject {
        line += &format!(" {subject}");
    }
    if let Some(peer) = &event.peer {
        line += &format!(" -> {peer}");
    }
    if because.is_empty() && event.subject.is_none() {
        line += &format!(" {}", event.hook.name().unwrap_or("unknown"));
    }
    line += &format!("  {}[{}]", event.comm(), event.header.pid);
    let why = match (event.fault.0, context.rule) {
        (0, Some(rule)) => match rule.reason {
            Some(reason) => format!("{}:{} {reason}", rule.file, rule.line),
            None => format!("{}:{}", rule.file, rule.line),
        },
        (0, None) => "no rule allows it".to_owned(),
        _ => event.fault.name().unwrap_or("unknown fault").to_owned(),
    };
    line + &format!("  ({why})")
}

/// The same line from one of the daemon's stream, which may stand for several violations.
#[must_use]
pub fn from_stream(violation: &Violation<'_>, repeats: Option<u64>) -> String {
    let verdict = [Verdict::Allow, Verdict::Audit, Verdict::Ask, Verdict::Deny]
        .into_iter()
        .find(|verdict| verdict.name() == violation.verdict);
    let style = style(verdict.unwrap_or(Verdict::Deny));
    let mut line = format!("picket: {style}{}{style:#}", violation.verdict);
    if !violation.because.is_empty() {
        line += &format!(" {}", violation.because.join("+"));
    }
    if let Some(subject) = &violation.subject {
        line += &format!(" {subject}");
    }
    if let Some(peer) = &violation.peer {
        line += &format!(" -> {peer}");
    }
    if violation.because.is_empty() && violation.subject.is_none() {
        line += &format!(" {}", violation.op);
    }
    line += &format!("  {}[{}]", violation.comm, violation.pid);
    let why = match (&violation.fault, &violation.rule) {
        (Some(fault), _) => fault.to_string(),
        (None, Some(rule)) => match &rule.reason {
            Some(reason) => format!("{}:{} {reason}", rule.file, rule.line),
            None => format!("{}:{}", rule.file, rule.line),
        },
        (None, None) => "no rule allows it".to_owned(),
    };
    line += &format!("  ({why})");
    match repeats {
        Some(1) => line + ", once more",
        Some(count) => line + &format!(", {count} times more"),
        None => line,
    }
}
