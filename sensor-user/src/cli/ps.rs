//! `picket ps`: the agents there are.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};

use super::asking::{self, Daemon};
use crate::api::types::{Agent, Process};
use crate::event::subject::printable;

/// Columns that a line has at most.
const COLUMNS: usize = 100;

/// Show the agents, their policies, how much they were refused, and their processes.
///
/// Users other than root see the agents that they started.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
    /// Leave the processes out.
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.daemon.client();
    let agents: Vec<Agent> = asking::wait(async { Ok(client.get("/v1/agents").await?) })?;
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&agents)?)?;
    } else {
        let mut out = anstream::stdout().lock();
        write!(out, "{}", table(&agents, args.quiet, SystemTime::now()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The table, with the processes of each agent under it.
fn table(agents: &[Agent], quiet: bool, now: SystemTime) -> String {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    let mut text = format!(
        "{bold}{:<10} {:<24} {:<24} {:<8} {:>6} {:>8} {:>6} {:>6}{bold:#}\n",
        "ID", "AGENT", "POLICY", "VERSION", "AGE", "EVENTS", "LOST", "PROCS"
    );
    for agent in agents {
        let mark = if agent.audit { "*" } else { "" };
        let lost = if agent.lost > 0 { AnsiColor::Red.on_default().bold() } else { Style::new() };
        text += &format!(
            "{:<10} {:<24} {:<24} {:<8} {:>6} {:>8} {lost}{:>6}{lost:#} {:>6}\n",
            agent.id.to_string(),
            cut(&agent.name, 24),
            cut(&format!("{}{mark}", agent.policy), 24),
            cut(&agent.version, 8),
            age(&agent.since, now),
            agent.events,
            agent.lost,
            agent.processes.len(),
        );
        if !quiet {
            for (process, depth) in tree(&agent.processes) {
                let indent = "  ".repeat(depth.min(20) + 1);
                let line = format!("{indent}{} {}", process.pid, printable_line(&process.command));
                text += &format!("{dim}{}{dim:#}\n", cut(&line, COLUMNS));
            }
        }
    }
    if agents.iter().any(|agent| agent.audit) {
        text += "* is only audited: everything is allowed\n";
    }
    text
}

/// Each process with how many of its ancestors are in the list; parents come before their children.
fn tree(processes: &[Process]) -> Vec<(&Process, usize)> {
    let mut found: Vec<(&Process, usize)> = Vec::new();
    for process in processes {
        let parent = found.iter().find(|(other, _)| other.pid == process.ppid);
        let depth = parent.map_or(0, |(_, depth)| depth + 1);
        found.push((process, depth));
    }
    found
}

/// Since when, in the largest unit.
fn age(since: &str, now: SystemTime) -> String {
    let Ok(since) = humantime::parse_rfc3339_weak(since) else { return "?".to_owned() };
    let seconds = now.duration_since(since).unwrap_or(Duration::ZERO).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// A command line is made printable by the daemon; one that is not all the same stays one line.
fn printable_line(text: &str) -> String {
    if text.chars().any(char::is_control) { printable(text.as_bytes()) } else { text.to_owned() }
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensor_ebpf::tag::Tag;

    fn process(pid: u32, ppid: u32, command: &str) -> Process {
        Process { pid, ppid, uid: 1000, command: command.to_owned() }
    }

    #[test]
    fn agents_are_shown_with_their_trees() {
        let agent = Agent {
            id: Tag { agent: 3, epoch: 17 }.into(),
            name: "coder".to_owned(),
            policy: "coding-agent".to_owned(),
            version: "0123456789abcdef".to_owned(),
            audit: true,
            uid: 1000,
            since: "2026-05-17T10:00:00Z".to_owned(),
            processes: vec![
                process(10, 1, "claude"),
                process(12, 10, "bash -c 'x'"),
                process(13, 12, &"y".repeat(300)),
                process(11, 1, "other\nline"),
            ],
            rule: None,
            events: 12,
            lost: 1,
            warnings: None,
        };
        let now = humantime::parse_rfc3339("2026-05-17T10:05:00Z").unwrap();
        let text = anstream::adapter::strip_str(&table(&[agent], false, now)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert!(lines[1].starts_with("3.17       coder "), "{text}");
        assert!(lines[1].contains("coding-agent*") && lines[1].contains(" 5m "), "{text}");
        assert_eq!(lines[2], "  10 claude");
        assert_eq!(lines[3], "    12 bash -c 'x'");
        assert!(lines[4].starts_with("      13 yyy") && lines[4].ends_with('…'));
        assert_eq!(lines[5], "  11 other\\x0aline");
        assert!(lines[6].starts_with("* is only audited"));
    }
}
