//! What a policy says of a rename, an exchange or a hard link: whether both names may be had, and what
//! would be gained by the trade, with an example.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use sensor_ebpf::moves::{Move, Weighed};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::verdict::Verdict;
use serde::Serialize;

use super::{Args, Named, print_rule, style};
use crate::event::subject::printable;
use crate::policy::{Compiled, Gain, Host, Subject, SubjectError};
use crate::policy_host::LocalHost;

/// How names are traded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `rename(2)`.
    Rename,
    /// `renameat2(2)` with `RENAME_EXCHANGE`.
    Exchange,
    /// `link(2)`.
    Link,
}

impl Kind {
    /// Every kind by its name; `link` is that of a right.
    pub const NAMES: [(&str, Kind); 3] =
        [("rename", Kind::Rename), ("exchange", Kind::Exchange), ("hardlink", Kind::Link)];

    /// The kind that is called so.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::NAMES.into_iter().find(|(text, _)| *text == name).map(|(_, kind)| kind)
    }

    fn name(self) -> &'static str {
        Kind::NAMES.into_iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// What it asks for. Nothing is replaced, or else `delete` on the new name would be needed too.
    fn wanted(self, directory: bool) -> Move {
        match self {
            Kind::Rename => Move::rename(directory, false),
            Kind::Exchange => Move::exchange(directory, directory),
            Kind::Link => Move::link(),
        }
    }
}

/// What there is to say of one move.
#[derive(Debug, Serialize)]
struct Explanation<'c> {
    policy: &'c str,
    operation: &'static str,
    directory: bool,
    from: String,
    to: String,
    verdict: &'static str,
    /// The rights that brought the verdict about, and on which name, if it is one of the names alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<Because>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Named<'c>>,
    /// An example of what would be gained, if that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    gains: Option<Gained>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Because {
    path: String,
    rights: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Gained {
    /// What it is called now.
    from: String,
    /// What it would be called.
    to: String,
    rights: Vec<&'static str>,
}

/// Runs the verb for a move.
pub fn run(args: &Args, compiled: &Compiled, kind: Kind) -> anyhow::Result<ExitCode> {
    let [from, to] = args.subjects.as_slice() else {
        anyhow::bail!("`{}` needs the old name and the new one", kind.name());
    };
    anyhow::ensure!(!(args.directory && kind == Kind::Link), "a directory has no hard links");
    let (from, to) = (place(args, from)?, place(args, to)?);
    let weighed = compiled.judge_move(&from, &to, kind.wanted(args.directory));
    let explanation = explain(args, compiled, kind, (&from, &to), weighed);
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&explanation)?)?;
    } else {
        print(&explanation)?;
    }
    Ok(ExitCode::from(u8::from(weighed.decision.verdict > Verdict::Audit)))
}

/// A name as the kernel writes it: of what is moved the last link is not followed.
fn place(args: &Args, given: &OsStr) -> Result<Vec<u8>, SubjectError> {
    let host: Option<&dyn Host> = if args.literal { None } else { Some(&LocalHost) };
    let literal = Subject::parse(given.as_bytes(), Rights::NONE, None)?;
    let bytes = literal.bytes();
    let cut = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let (directory, name) = bytes.split_at(cut);
    if directory.is_empty() {
        return Ok(name.to_vec());
    }
    let directory =
        host.map_or_else(|| directory.to_vec(), |host| crate::policy::canonical(host, directory));
    Ok([if directory == b"/" { b"" } else { directory.as_slice() }, name].concat())
}

fn explain<'c>(
    args: &Args,
    compiled: &'c Compiled,
    kind: Kind,
    (from, to): (&[u8], &[u8]),
    weighed: Weighed,
) -> Explanation<'c> {
    let decision = weighed.decision;
    let stopped = decision.verdict != Verdict::Allow;
    let of_name = stopped && !weighed.widens;
    let path = if weighed.of_new { to } else { from };
    let gain = |from: &[u8], to: &[u8]| {
        let Gain { suffix, rights } = compiled.gain(from, to, args.directory)?;
        let below = |path: &[u8]| printable(&[path, suffix.as_slice()].concat());
        Some(Gained { from: below(from), to: below(to), rights: rights.names().collect() })
    };
    let back = || (kind == Kind::Exchange).then(|| gain(to, from)).flatten();
    let gains = weighed.widens.then(|| gain(from, to).or_else(back)).flatten();
    let unknown = weighed.widens && gains.is_none();
    let silent = of_name && weighed.rule == 0;
    Explanation {
        policy: &compiled.name,
        operation: kind.name(),
        directory: args.directory,
        from: printable(from),
        to: printable(to),
        verdict: decision.verdict.name(),
        because: of_name
            .then(|| Because { path: printable(path), rights: decision.because.names().collect() }),
        rule: compiled
            .rule(weighed.rule)
            .filter(|_| of_name)
            .map(|rule| Named { id: weighed.rule, rule }),
        gains,
        note: if unknown {
            Some(
                "what is below might gain rights: no example was found, and no proof that there is none",
            )
        } else if silent {
            Some("no rule allows it, and what nothing allows is denied")
        } else {
            None
        },
    }
}

fn print(explanation: &Explanation<'_>) -> io::Result<()> {
    let style = style(explanation.verdict);
    let mut out = anstream::stdout().lock();
    let Explanation { verdict, operation, from, to, .. } = explanation;
    writeln!(out, "{style}{verdict}{style:#} {operation} {from} {to}")?;
    if let Some(Because { path, rights }) = &explanation.because {
        writeln!(out, "  because   of {} on {path}", rights.join(", "))?;
    }
    if let Some(Named { rule, .. }) = &explanation.rule {
        print_rule(&mut out, rule)?;
    }
    if let Some(Gained { from, to, rights }) = &explanation.gains {
        writeln!(out, "  because   it would give {}", rights.join(", "))?;
        writeln!(out, "  on        {to}")?;
        writeln!(out, "  which is  {from} now, where that is not allowed so")?;
    }
    if let Some(note) = &explanation.note {
        writeln!(out, "  note      {note}")?;
    }
    Ok(())
}
