//! `picket policy check`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::given::{self, Given};
use crate::policy::{Options, Report, Severity, Stats, Variables, compile};
use crate::policy_host::LocalHost;

/// Check policy files: everything that is wrong with each, with its place and a hint.
///
/// Exit code 0 if every file can be used, 1 if not. Warnings alone are no failure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Policy files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Show how large each table is and how long it took.
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    given: Given,
}

/// What was found in one file.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    ok: bool,
    diagnostics: Vec<Report>,
    /// Why the file could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Figures>,
    /// The diagnostics for people.
    #[serde(skip)]
    shown: String,
}

#[derive(Debug, Serialize)]
struct Figures {
    #[serde(flatten)]
    stats: Stats,
    compile_ms: f64,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let variables = args.given.variables()?;
    let all: Vec<Checked> =
        args.files.iter().map(|file| check(file, &variables, args.stats)).collect();
    let ok = all.iter().all(|checked| checked.ok);
    if args.json {
        let report = serde_json::json!({ "ok": ok, "files": all });
        writeln!(std::io::stdout(), "{report:#}")?;
    } else {
        all.iter().try_for_each(print)?;
    }
    Ok(ExitCode::from(u8::from(!ok)))
}

fn check(file: &Path, variables: &Variables, stats: bool) -> Checked {
    let mut checked = Checked {
        file: file.display().to_string(),
        ok: false,
        diagnostics: Vec::new(),
        unreadable: None,
        stats: None,
        shown: String::new(),
    };
    let source = match given::source(file) {
        Ok(source) => source,
        Err(error) => {
            checked.unreadable = Some(error.to_string());
            return checked;
        }
    };
    let colour = std::io::stderr().is_terminal();
    let begin = Instant::now();
    let result = compile(&source, variables, &LocalHost, Options::default());
    let time = begin.elapsed();
    let diagnostics = match result {
        Ok(compiled) => {
            checked.ok = true;
            checked.stats = stats.then(|| figures(compiled.stats, time));
            compiled.warnings
        }
        Err(diagnostics) => diagnostics,
    };
    checked.diagnostics = diagnostics.reports();
    checked.shown = diagnostics.render(colour);
    checked
}

fn figures(stats: Stats, time: Duration) -> Figures {
    Figures { stats, compile_ms: time.as_secs_f64() * 1e3 }
}

fn print(checked: &Checked) -> std::io::Result<()> {
    let mut err = anstream::stderr().lock();
    let mut out = anstream::stdout().lock();
    let file = &checked.file;
    if let Some(why) = &checked.unreadable {
        return writeln!(err, "{file}: cannot read it: {why}");
    }
    if !checked.shown.is_empty() {
        writeln!(err, "{}\n", checked.shown)?;
    }
    let count = |severity| {
        let all = checked.diagnostics.iter();
        all.filter(|report| report.severity == severity).count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match (checked.ok, warnings) {
        (true, 0) => writeln!(out, "{file}: ok")?,
        (true, _) => writeln!(out, "{file}: ok, {}", plural(warnings, "warning"))?,
        (false, _) => writeln!(err, "{file}: {}", plural(errors, "error"))?,
    }
    if let Some(Figures { stats, compile_ms }) = &checked.stats {
        writeln!(out, "  rules     {}, {} patterns", stats.rules, stats.patterns)?;
        writeln!(
            out,
            "  paths     {} + {} states (anchored + floating), {} classes of bytes",
            stats.anchored_states, stats.floating_states, stats.path_classes
        )?;
        writeln!(
            out,
            "  objects   {} states, {} classes of bytes",
            stats.object_states, stats.object_classes
        )?;
        writeln!(out, "  answers   {}", stats.answers)?;
        let known = if stats.relation_complete { "" } else { ", incomplete" };
        writeln!(
            out,
            "  moves     {} kinds of directories, {} bytes{known}",
            stats.directories, stats.relation_bytes
        )?;
        writeln!(out, "  table     {} bytes", stats.bytes)?;
        writeln!(out, "  compiled  in {compile_ms:.1} ms")?;
    }
    Ok(())
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
