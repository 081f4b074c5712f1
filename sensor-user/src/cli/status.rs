//! `picket status`: how the daemon and the fence are.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::asking::{self, Daemon};
use crate::api::types::Status;

/// Columns that a line has at most.
const COLUMNS: usize = 100;

/// Say whether policies are enforced, and how the daemon is.
///
/// Enforced means that the daemon's last canary, a process under a policy, was refused one operation
/// of each kind, and that a program is attached to every hook. Exit code 0 if that is so, 1 if not. Users
/// other than root learn that much, and no more.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Print nothing; the exit code says it.
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Show every hook and every operation of the canary.
    #[arg(long, short)]
    all: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.daemon.client();
    let status: Status = asking::wait(async { Ok(client.get("/v1/status").await?) })?;
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&status)?)?;
    } else if !args.quiet {
        let mut out = anstream::stdout().lock();
        write!(out, "{}", text(&status, args.all))?;
    }
    Ok(ExitCode::from(u8::from(!status.enforcing)))
}

/// A text under way: names on the left, what there is on the right.
struct Text(String);

impl Text {
    fn row(&mut self, name: &str, style: Style, what: &str) {
        let columns = COLUMNS - 12;
        for (number, line) in what.lines().enumerate() {
            let name = if number == 0 { name } else { "" };
            let line: String = if line.chars().count() > columns {
                line.chars().take(columns - 1).chain(['…']).collect()
            } else {
                line.to_owned()
            };
            self.0 += &format!("{name:<11} {style}{line}{style:#}\n");
        }
    }
}

fn text(status: &Status, all: bool) -> String {
    let (good, bad) = (AnsiColor::Green.on_default().bold(), AnsiColor::Red.on_default().bold());
    let (plain, warn) = (Style::new(), AnsiColor::Yellow.on_default());
    let mut text = Text(String::new());
    match status.enforcing {
        true => text.row("enforcing", good, "yes"),
        false => text.row("enforcing", bad, "no"),
    }
    let daemon = format!(
        "{} (interface {}), pid {}, since {}, kernel side {}",
        status.version, status.abi, status.pid, status.since, status.arrival
    );
    text.row("daemon", plain, &daemon);
    // Nobody but root is told more.
    if status.hooks.is_empty() {
        return text.0;
    }
    let object = status.object.get(..16).unwrap_or(&status.object);
    text.row("programs", plain, &format!("{object}, set {}", status.generation));
    hooks(&mut text, status, all);
    canary(&mut text, status, all);
    let tables = format!("{} of {} policy tables", status.tables.0, status.tables.1);
    text.row("agents", plain, &format!("{}, {tables}", status.agents));
    let lost = if status.lost > 0 { bad } else { plain };
    text.row("events", lost, &format!("{} passed on, {} lost", status.passed, status.lost));
    if let Some((used, size)) = status.ring {
        text.row("ring", plain, &format!("{} of {} in use", bytes(used), bytes(size)));
    }
    for sink in &status.sinks {
        let mut line = format!("{}: {} written", sink.name, sink.written);
        if sink.waiting > 0 {
            line += &format!(", {} wait", sink.waiting);
        }
        if sink.missed > 0 {
            line += &format!(", {} missed", sink.missed);
        }
        if let Some(trouble) = &sink.trouble {
            line += &format!(": {trouble}");
        }
        let style = if sink.missed > 0 || sink.trouble.is_some() { warn } else { plain };
        text.row("sink", style, &line);
    }
    for (hook, fault, count) in &status.faults {
        text.row("faults", warn, &format!("{count} in {hook} ({fault})"));
    }
    let memory = format!(
        "daemon {}, kernel maps {}, policy tables {}",
        bytes(status.rss),
        bytes(status.map_memory),
        bytes(status.table_memory)
    );
    text.row("memory", plain, &memory);
    for (file, problem) in &status.problems {
        text.row(
            "policy",
            warn,
            &format!("{file} has mistakes; what was in force still is\n{problem}"),
        );
    }
    for (what, trouble) in &status.troubles {
        text.row("trouble", warn, &format!("{what}: {trouble}"));
    }
    text.0
}

fn hooks(text: &mut Text, status: &Status, all: bool) {
    let bad = AnsiColor::Red.on_default().bold();
    let off: Vec<&str> =
        status.hooks.iter().filter(|hook| !hook.armed).map(|hook| hook.name.as_str()).collect();
    let armed = status.hooks.len() - off.len();
    let style = if off.is_empty() { Style::new() } else { bad };
    text.row("hooks", style, &format!("{armed} of {} armed", status.hooks.len()));
    for hook in &off {
        text.row("", bad, &format!("{hook}: no program is attached"));
    }
    if all {
        for hook in status.hooks.iter().filter(|hook| hook.armed) {
            text.row("", Style::new(), &hook.name);
        }
    }
}

fn canary(text: &mut Text, status: &Status, all: bool) {
    let bad = AnsiColor::Red.on_default().bold();
    let free: Vec<_> = status.canary.probes.iter().filter(|probe| !probe.refused).collect();
    let line = match &status.canary.at {
        None => "none was sent yet".to_owned(),
        Some(at) => {
            let tried = status.canary.probes.len();
            format!("{} of {tried} operations were refused, {at}", tried - free.len())
        }
    };
    let style = if free.is_empty() { Style::new() } else { bad };
    text.row("canary", style, &line);
    for probe in free {
        let line = format!("{} ({}) was not refused: {}", probe.operation, probe.hook, probe.found);
        text.row("", bad, &line);
    }
    if all {
        for probe in status.canary.probes.iter().filter(|probe| probe.refused) {
            text.row(
                "",
                Style::new(),
                &format!("{} ({}): {}", probe.operation, probe.hook, probe.found),
            );
        }
    }
}

/// A number of bytes, as people say it.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::{Canary, HookStatus, Probe, SinkStatus};

    fn status() -> Status {
        Status {
            enforcing: true,
            version: "0.1.0".to_owned(),
            hooks: ["file_open", "bpf"]
                .map(|name| HookStatus { name: name.to_owned(), armed: name != "bpf" })
                .to_vec(),
            canary: Canary {
                at: Some("2026-05-17T10:00:00Z".to_owned()),
                probes: vec![Probe {
                    operation: "open a file".to_owned(),
                    hook: "file_open".to_owned(),
                    refused: true,
                    found: "EACCES".to_owned(),
                }],
            },
            sinks: vec![SinkStatus {
                name: "syslog".to_owned(),
                written: 5,
                missed: 2,
                waiting: 0,
                trouble: Some("x".repeat(200)),
            }],
            faults: vec![("file_open".to_owned(), "unreadable".to_owned(), 3)],
            problems: vec![("a.yaml".to_owned(), "error: unknown key".to_owned())],
            troubles: vec![("containers /ci".to_owned(), "there is no cgroup".to_owned())],
            ring: Some((0, 1 << 20)),
            rss: 20 << 20,
            ..Status::default()
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = anstream::adapter::strip_str(&text(&status(), false)).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        for expected in [
            "enforcing   yes\n",
            "1 of 2 armed\n            bpf: no program is attached\n",
            "1 of 1 operations were refused, 2026-05-17T10:00:00Z\n",
            "syslog: 5 written, 2 missed: xxx",
            "3 in file_open (unreadable)",
            "0 B of 1024 KiB in use",
            "policy      a.yaml has mistakes; what was in force still is\n            error: unknown key\n",
            "trouble     containers /ci: there is no cgroup\n",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
        assert!(!text.contains("open a file"));
    }

    #[test]
    fn others_learn_whether_there_is_a_fence() {
        let status = Status { enforcing: false, version: "0.1.0".to_owned(), ..Status::default() };
        let text = anstream::adapter::strip_str(&text(&status, true)).to_string();
        assert!(text.starts_with("enforcing   no\n") && text.lines().count() == 2, "{text}");
    }
}
