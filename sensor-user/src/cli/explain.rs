//! `picket explain`: what a policy says of an operation, and why. Runs the matcher and the verdict
//! that the kernel runs, over the table that the kernel gets; needs no root and no kernel.

mod advice;
mod moves;

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::AnsiColor;
use anyhow::Context;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::verdict::Verdict;
use serde::Serialize;

use super::policy::given::{self, Given};
use crate::policy::{Compiled, Judged, Options, RuleInfo, Subject, compile};
use crate::policy_host::LocalHost;

/// Say what a policy says of an operation: the verdict, the rule that decides and its reason, and
/// what would have to be added to allow it.
///
/// Exit code 0 if every operation is allowed (an audited one is), 1 if one is denied or would be
/// asked about, 125 if a subject or the policy is not understood.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy file.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Print one JSON object per subject.
    #[arg(long)]
    json: bool,
    /// Take paths as the kernel would name them, and do not follow this machine's links.
    #[arg(long)]
    literal: bool,
    #[command(flatten)]
    given: Given,
    /// With `rename` and the like: what is moved is a directory, with all that is below it.
    #[arg(long)]
    directory: bool,
    /// What is done: read, write, list, create, delete, link, attr, exec, map, connect, send, bind,
    /// socket, device, process or kernel; several with commas between them. Or `rename`, `exchange` or
    /// `hardlink`, with the old name and the new one.
    #[arg(value_name = "RIGHT", value_parser = what)]
    what: What,
    /// To what: an absolute path, `tcp:192.0.2.1:443`, `udp:[2001:db8::1]:53`, `unix:/run/x.sock`,
    /// `unix:@name`, `socket:inet/raw/1`, `process:signal`, `capability:net_admin`, `pipe` or
    /// `memfd`; `-` reads one per line. `\xHH` is a
    /// byte, as events print it.
    #[arg(required = true, value_name = "SUBJECT")]
    subjects: Vec<OsString>,
}

/// What is asked about.
#[derive(Clone, Copy, Debug)]
enum What {
    /// Rights on each subject.
    Rights(Rights),
    /// A trade of names.
    Move(moves::Kind),
}

fn what(text: &str) -> Result<What, String> {
    moves::Kind::from_name(text)
        .map_or_else(|| rights(text).map(What::Rights), |kind| Ok(What::Move(kind)))
}

fn rights(text: &str) -> Result<Rights, String> {
    let mut all = Rights::NONE;
    for name in text.split(',') {
        let known = || Rights::NAMES.iter().map(|(_, name)| *name).collect::<Vec<_>>();
        all |= Rights::from_name(name).ok_or_else(|| {
            let moves = moves::Kind::NAMES.map(|(name, _)| name).join(", ");
            format!(
                "unknown right `{name}`; the rights are {}; moves are {moves}",
                known().join(", ")
            )
        })?;
    }
    Ok(all)
}

/// What there is to say of one subject.
#[derive(Debug, Serialize)]
struct Explanation<'c> {
    policy: &'c str,
    rights: Vec<&'static str>,
    /// The subject that was judged, as events name it.
    subject: String,
    /// What was asked about, where a link leads from it to the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    given: Option<String>,
    verdict: &'static str,
    /// The rights that brought the verdict about.
    because: Vec<&'static str>,
    /// The rule that decides, if one speaks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Named<'c>>,
    /// Why there is no rule, or why the rule applies, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// What would have to be added or removed to allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_allow: Option<String>,
}

#[derive(Debug, Serialize)]
struct Named<'c> {
    id: u32,
    #[serde(flatten)]
    rule: &'c RuleInfo,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.policy.as_os_str() == "-" && args.subjects.iter().any(|given| given == "-") {
        anyhow::bail!(
            "standard input cannot hold both the policy and the subjects; name the policy's file"
        );
    }
    let source = given::source(&args.policy)
        .with_context(|| format!("cannot read {}", args.policy.display()))?;
    let variables = args.given.variables()?;
    let compiled = match compile(&source, &variables, &LocalHost, Options::default()) {
        Ok(compiled) => compiled,
        Err(diagnostics) => {
            super::remark(&diagnostics.render(io::stderr().is_terminal()));
            anyhow::bail!("{} cannot be used", args.policy.display());
        }
    };
    let rights = match args.what {
        What::Rights(rights) => rights,
        What::Move(kind) => return moves::run(args, &compiled, kind),
    };
    let mut outcome = Outcome { rights, allowed: true, understood: true };
    for given in &args.subjects {
        if given == "-" {
            for (number, line) in io::stdin().lock().split(b'\n').enumerate() {
                let line = line.context("cannot read standard input")?;
                if !line.is_empty() {
                    let place = format!("line {} of standard input: ", number + 1);
                    outcome.take(args, &compiled, &line, &place)?;
                }
            }
        } else {
            outcome.take(args, &compiled, given.as_bytes(), "")?;
        }
    }
    Ok(match outcome {
        Outcome { understood: false, .. } => ExitCode::from(super::FAILED),
        Outcome { allowed, .. } => ExitCode::from(u8::from(!allowed)),
    })
}

/// What came of all subjects together.
struct Outcome {
    /// What is done to each.
    rights: Rights,
    /// Whether each is allowed.
    allowed: bool,
    /// Whether each is one.
    understood: bool,
}

impl Outcome {
    /// Explains one subject. What is none is said to be so, and the others are explained all the same.
    fn take(
        &mut self,
        args: &Args,
        compiled: &Compiled,
        given: &[u8],
        place: &str,
    ) -> io::Result<()> {
        let host = (!args.literal).then_some(&LocalHost);
        match Subject::parse(given, self.rights, host.map(|host| host as _)) {
            Ok(subject) => self.allowed &= one(args, compiled, self.rights, subject, given)?,
            Err(error) => {
                self.understood = false;
                let style = AnsiColor::Red.on_default().bold();
                super::remark(&format!("{style}picket{style:#}: {place}{error}"));
            }
        }
        Ok(())
    }
}

/// Explains one subject; whether it is allowed.
fn one(
    args: &Args,
    compiled: &Compiled,
    rights: Rights,
    mut subject: Subject,
    given: &[u8],
) -> io::Result<bool> {
    let mut judged = compiled.judge(subject.space(), subject.bytes(), rights);
    if let Some(behind) = subject.behind(rights) {
        let other = compiled.judge(behind.space(), behind.bytes(), rights);
        if judged.decision.verdict < Verdict::Ask
            && other.decision.verdict > judged.decision.verdict
        {
            (subject, judged) = (behind, other);
        }
    }
    let explanation = explain(rights, compiled, &subject, &judged, given);
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&explanation)?)?;
    } else {
        print(&explanation)?;
    }
    Ok(judged.decision.verdict <= Verdict::Audit)
}

fn explain<'c>(
    rights: Rights,
    compiled: &'c Compiled,
    subject: &Subject,
    judged: &Judged,
    given: &[u8],
) -> Explanation<'c> {
    let decision = judged.decision;
    let deciding = if decision.because.is_empty() { rights } else { decision.because };
    let id = each(deciding).map(|right| judged.rule(right)).find(|id| *id != 0).unwrap_or(0);
    let shown = subject.to_string();
    let given = crate::event::subject::printable(given);
    Explanation {
        policy: &compiled.name,
        rights: rights.names().collect(),
        given: (subject.was_followed()).then_some(given),
        subject: shown,
        verdict: decision.verdict.name(),
        because: decision.because.names().collect(),
        rule: compiled.rule(id).map(|rule| Named { id, rule }),
        note: advice::note(compiled, judged, subject, deciding),
        to_allow: advice::to_allow(compiled, judged, subject),
    }
}

/// The rights of a set, one by one.
fn each(rights: Rights) -> impl Iterator<Item = Rights> {
    Rights::NAMES.iter().map(|(right, _)| *right).filter(move |right| rights.contains(*right))
}

/// The colour of a verdict.
fn style(verdict: &str) -> anstyle::Style {
    match verdict {
        "allow" => AnsiColor::Green.on_default(),
        "deny" => AnsiColor::Red.on_default().bold(),
        _ => AnsiColor::Yellow.on_default(),
    }
}

fn print_rule(out: &mut impl Write, rule: &RuleInfo) -> io::Result<()> {
    let place = match rule.line {
        0 => rule.file.clone(),
        line => format!("{}:{line}:{}", rule.file, rule.column),
    };
    let rights: Vec<_> = rule.rights.names().collect();
    let (kind, rights) = (rule.kind.name(), rights.join(", "));
    writeln!(out, "  rule      {place}: {kind} [{rights}] {}", rule.pattern)?;
    match &rule.reason {
        Some(reason) => writeln!(out, "  reason    {reason}"),
        None => Ok(()),
    }
}

fn print(explanation: &Explanation<'_>) -> io::Result<()> {
    let style = style(explanation.verdict);
    let mut out = anstream::stdout().lock();
    let rights = explanation.rights.join(",");
    writeln!(out, "{style}{}{style:#} {rights} {}", explanation.verdict, explanation.subject)?;
    if let Some(given) = &explanation.given {
        writeln!(out, "  given     {given} leads there")?;
    }
    if explanation.because.len() < explanation.rights.len() && !explanation.because.is_empty() {
        writeln!(out, "  because   of {}", explanation.because.join(", "))?;
    }
    if let Some(Named { rule, .. }) = &explanation.rule {
        print_rule(&mut out, rule)?;
    }
    if let Some(note) = &explanation.note {
        writeln!(out, "  note      {note}")?;
    }
    if let Some(to_allow) = &explanation.to_allow {
        let indented = to_allow.replace('\n', "\n            ");
        writeln!(out, "  to allow  {indented}")?;
    }
    Ok(())
}
