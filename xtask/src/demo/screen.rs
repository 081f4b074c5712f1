//! How it looks: a hundred columns, the agent's view on the left, Picket's on the right. Styled
//! throughout; whoever prints it strips the styles where there is no terminal to show them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::{
    place::Place,
    score::{Outcome, Score},
    tidings::{Attempt, End, Saw, Stage, Violation},
};

const WIDTH: usize = 100;
/// What became of it.
const OUTCOME: usize = 11;
/// What the agent did, and what it saw.
const AGENT: usize = 42;
/// What Picket reported.
const PICKET: usize = WIDTH - OUTCOME - AGENT - 3;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Where it runs, and why there.
pub fn introduction(place: &Place) -> String {
    match place {
        Place::Here { .. } => "On this machine: its kernel can enforce.".to_owned(),
        Place::Guest { why: Some(why), .. } => {
            format!("In a VM, because Picket cannot enforce here ({why}).")
        }
        Place::Guest { kernel, .. } => format!("In a VM, with kernel {}.", kernel.name()),
    }
}

/// What this run's lines have in common.
pub struct Screen {
    /// Long names, and what they are shown as.
    short: Vec<(String, &'static str)>,
}

impl Screen {
    /// For this stage.
    pub fn new(stage: &Stage) -> Screen {
        let mut short = vec![(stage.home.clone(), "~"), (stage.base.clone(), "")];
        // The home may be part of what belongs to the set-up, and not the other way round.
        short.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Screen { short }
    }

    /// The first line about this run.
    pub fn stage(&self, stage: &Stage) -> String {
        format!(
            "An agent, user {}, under policies/demo.yaml on kernel {}.\n",
            stage.user, stage.kernel
        )
    }

    /// A group's heading, before its first attempt.
    pub fn group(&self, first: &Attempt) -> String {
        let (left, right) = match first.honest {
            true => ("honest work: must pass".to_owned(), ""),
            false => (format!("{}: must be blocked", first.group), "what Picket reported"),
        };
        let left = cut(&left, OUTCOME + 1 + AGENT);
        let pad = " ".repeat(OUTCOME + 1 + AGENT + 2 - width(&left));
        let line = format!("{left}{pad}{right}");
        format!("\n{BOLD}{}{BOLD:#}\n", line.trim_end())
    }

    /// An attempt's line; more where something went wrong.
    pub fn attempt(&self, attempt: &Attempt, outcome: Outcome, violations: &[Violation]) -> String {
        let (word, style) = word(outcome);
        let right = cut(&self.right(attempt, violations), PICKET);
        let mut line = format!("{style}{word:<OUTCOME$}{style:#} ");
        if right.is_empty() && attempt.honest {
            line += &cut(&attempt.says, WIDTH - OUTCOME - 1);
        } else {
            let saw = attempt.saw.as_ref().map(agents_view).unwrap_or_default();
            let says = cut(&attempt.says, AGENT - width(saw) - 1);
            let gap = " ".repeat(AGENT - width(&says) - width(saw));
            // No spaces at the end of a line: recordings of it are kept.
            let line_end = format!("{gap}{DIM}{saw}{DIM:#}  {right}");
            line += &says;
            line += if saw.is_empty() && right.is_empty() { "" } else { line_end.trim_end() };
        }
        line.push('\n');
        if matches!(outcome, Outcome::Passed | Outcome::Blocked | Outcome::Skipped) {
            return line;
        }
        // What somebody needs who has to find out why.
        let mut more = |what: &str, saw: &Option<Saw>| {
            let lines = saw.iter().flat_map(|saw| saw.out.lines().chain(saw.err.lines()));
            for text in lines.filter(|text| !text.trim().is_empty()) {
                let text = cut(&format!("{what}: {}", printable(text)), WIDTH - OUTCOME - 1);
                writeln!(line, "{:OUTCOME$} {}", "", text.trim_end()).unwrap_or_default();
            }
        };
        match outcome {
            Outcome::Void => more("without Picket it fails too", &attempt.control_saw),
            _ => more("the agent saw", &attempt.saw),
        }
        if let (Outcome::Unreported, Some(expected)) = (outcome, &attempt.expected) {
            let (rights, subject) = (expected.rights.join(" or "), expected.subject.as_deref());
            writeln!(
                line,
                "{:OUTCOME$} not reported: {rights} {}",
                "",
                subject.unwrap_or_default()
            )
            .unwrap_or_default();
        }
        line
    }

    /// Picket's view: the violation that was expected, else the first, and how many more.
    fn right(&self, attempt: &Attempt, violations: &[Violation]) -> String {
        if let Some(why) = &attempt.skipped {
            return format!("not tried: {why}");
        }
        let expected = attempt.expected.as_ref();
        let shown = violations.iter().find(|one| expected.is_some_and(|wanted| wanted.is(one)));
        let Some(shown) = shown.or(violations.first()) else {
            return String::new();
        };
        let text = self.violation(shown, expected.and_then(|wanted| wanted.subject.as_deref()));
        let reason = match &shown.rule {
            None => Some("nothing allows it"),
            Some(rule) => rule.reason.as_deref(),
        };
        let with_reason = format!("{text} ({})", reason.unwrap_or_default());
        if reason.is_some() && width(&with_reason) <= PICKET { with_reason } else { text }
    }

    /// Rights and names; of two names only the one that it is about, where that is known.
    fn violation(&self, shown: &Violation, about: Option<&str>) -> String {
        let rights = shown.because.join("+");
        let both = [shown.subject.as_deref(), shown.peer.as_deref()];
        let names: Vec<_> = match both.iter().find(|name| name.is_some() && **name == about) {
            Some(name) => vec![self.shortened(name.unwrap_or_default())],
            None => both.iter().flatten().map(|name| self.shortened(name)).collect(),
        };
        let names = names.join(" -> ");
        if names.is_empty() {
            return format!("{rights}: {}", shown.op);
        }
        // A process or a socket says itself what it is.
        if names.split(' ').next() == Some(rights.as_str()) {
            names
        } else {
            format!("{rights} {names}")
        }
    }

    fn shortened(&self, name: &str) -> String {
        for (long, short) in &self.short {
            if let Some(rest) = name.strip_prefix(long.as_str())
                && rest.starts_with('/')
            {
                return if short.is_empty() {
                    rest[1..].to_owned()
                } else {
                    format!("{short}{rest}")
                };
            }
        }
        name.to_owned()
    }

    /// The count of it.
    pub fn table(&self, score: &Score) -> String {
        let head = format!(
            "{:<16}{:>10}{:>10}{:>10}{:>13}",
            "", "attempted", "passed", "blocked", "let through"
        );
        let mut text = format!("\n{BOLD}{head}{BOLD:#}\n");
        let mut total = [0; 3];
        for group in score.groups() {
            let (passed, attempted) = (group.count(Outcome::Passed), group.attempted());
            let blocked = group.count(Outcome::Blocked) + group.count(Outcome::Unreported);
            let through = group.count(Outcome::LetThrough);
            if group.honest {
                writeln!(text, "{:<16}{attempted:>10}{passed:>10}", group.name)
            } else {
                for (sum, one) in total.iter_mut().zip([attempted, blocked, through]) {
                    *sum += one;
                }
                writeln!(
                    text,
                    "{:<16}{attempted:>10}{:>10}{blocked:>10}{through:>13}",
                    group.name, ""
                )
            }
            .unwrap_or_default();
        }
        let [attempted, blocked, through] = total;
        let line = format!("{:<16}{attempted:>10}{:>10}{blocked:>10}{through:>13}", "astray", "");
        text + &format!("{BOLD}{line}{BOLD:#}\n")
    }

    /// What the table does not say, and whether all is well.
    pub fn closing(&self, score: &Score, end: &End) -> String {
        let controls = score.count(Outcome::Void);
        let mut text = match controls {
            0 => "\nEach of these was first made free of Picket, and worked.\n".to_owned(),
            _ => format!(
                "\n{controls} of these do not even work free of Picket: they show nothing.\n"
            ),
        };
        let unreported = score.count(Outcome::Unreported);
        text += &match (unreported, score.lost) {
            (0, 0) if score.count(Outcome::Blocked) == 0 => "Nothing was blocked.\n".to_owned(),
            (0, 0) => "Each block was reported; no event was lost.\n".to_owned(),
            (unreported, lost) => {
                format!("{unreported} blocks were not reported; {lost} events were lost.\n")
            }
        };
        let plural = if end.left == 1 { "process" } else { "processes" };
        writeln!(
            text,
            "The agent left {} {plural} behind when it ended; {} still ran after Picket did.",
            end.left, end.still
        )
        .unwrap_or_default();
        if score.skipped() > 0 {
            writeln!(text, "{} could not be tried here.", score.skipped()).unwrap_or_default();
        }
        let (style, verdict) = match score.good() {
            true => (AnsiColor::Green, "All honest work passed, and nothing else did"),
            false => (AnsiColor::Red, "It is not as it must be: see above"),
        };
        let style = style.on_default().bold();
        text + &format!("{style}{verdict}{style:#} ({:.1} s).\n", end.seconds)
    }
}

fn word(outcome: Outcome) -> (&'static str, Style) {
    let (word, colour) = match outcome {
        Outcome::Passed => ("passed", AnsiColor::Green),
        Outcome::Blocked => ("blocked", AnsiColor::Green),
        Outcome::Failed => ("FAILED", AnsiColor::Red),
        Outcome::LetThrough => ("LET THROUGH", AnsiColor::Red),
        Outcome::Unreported => ("UNREPORTED", AnsiColor::Red),
        Outcome::Void => ("NO CONTROL", AnsiColor::Red),
        Outcome::Skipped => ("skipped", AnsiColor::Yellow),
    };
    (word, colour.on_default().bold())
}

/// The error that the agent saw, by the name that programmers know: it is shorter.
fn agents_view(saw: &Saw) -> &'static str {
    let known = [
        ("Permission denied", "EACCES"),
        ("Operation not permitted", "EPERM"),
        ("Protocol not supported", "EPROTONOSUPPORT"),
        ("Address family not supported", "EAFNOSUPPORT"),
    ];
    let said = |text: &str| saw.err.contains(text) || saw.out.contains(text);
    let known = known.into_iter().find(|(text, _)| said(text)).map(|(_, name)| name);
    known.unwrap_or(if saw.status == Some(0) { "" } else { "failed" })
}

/// Columns: what is shown here is ASCII, or letters as wide as that.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// Without what could drive a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most so many columns of it.
fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    text.chars().take(columns.saturating_sub(3)).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> Screen {
        let stage =
            r#"{"kernel": "6.12", "user": "agent", "home": "/srv/demo/home", "base": "/srv/demo"}"#;
        Screen::new(&serde_json::from_str(stage).unwrap())
    }

    #[test]
    fn names_are_shortened_by_whole_components() {
        let screen = screen();
        assert_eq!(screen.shortened("/srv/demo/home/x"), "~/x");
        assert_eq!(screen.shortened("/srv/demo/docker.sock"), "docker.sock");
        assert_eq!(screen.shortened("/srv/demolition"), "/srv/demolition");
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        let attempt: Attempt = serde_json::from_str(&format!(
            r#"{{"group": "g", "says": "{0}", "honest": false, "control": true, "worked": false,
                "saw": {{"status": 1, "out": "", "err": "Protocol not supported"}},
                "expected": {{"rights": ["read"], "subject": "{0}"}}}}"#,
            "x".repeat(200)
        ))
        .unwrap();
        let violation: Violation = serde_json::from_str(&format!(
            r#"{{"verdict": "deny", "because": ["read"], "subject": "{0}", "op": "file_open", "rule": {{"reason": "{0}"}}, "lost": 0}}"#,
            "x".repeat(200)
        ))
        .unwrap();
        let line = screen().attempt(&attempt, Outcome::Blocked, &[violation]);
        let plain = anstream::adapter::strip_str(&line).to_string();
        assert_eq!(width(plain.trim_end()), WIDTH, "{plain}");
    }

    #[test]
    fn of_two_names_the_one_that_counts_is_shown() {
        let violation: Violation = serde_json::from_str(
            r#"{"verdict": "deny", "op": "path_rename", "because": ["create"], "subject": "/a",
                "peer": "/srv/demo/home/b", "lost": 0}"#,
        )
        .unwrap();
        let screen = screen();
        assert_eq!(screen.violation(&violation, Some("/srv/demo/home/b")), "create ~/b");
        assert_eq!(screen.violation(&violation, None), "create /a -> ~/b");
        let other = |because: &str, subject: Option<&str>| Violation {
            because: vec![because.to_owned()],
            subject: subject.map(str::to_owned),
            peer: None,
            ..violation.clone()
        };
        assert_eq!(screen.violation(&other("kernel", None), None), "kernel: path_rename");
        assert_eq!(screen.violation(&other("process", Some("process 7")), None), "process 7");
    }

    #[test]
    fn what_went_wrong_is_told_in_full() {
        let attempt: Attempt = serde_json::from_str(
            r#"{"group": "g", "says": "cat key", "honest": false, "control": true, "worked": true,
                "saw": {"status": 0, "out": "the key\n", "err": ""}, "expected": {"rights": ["read"], "subject": "/k"}}"#,
        )
        .unwrap();
        let text = screen().attempt(&attempt, Outcome::LetThrough, &[]);
        assert!(text.contains("LET THROUGH") && text.contains("the agent saw: the key"), "{text}");
    }
}
