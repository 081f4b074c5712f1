//! `docs/bypass.md`, made from the table.

use std::fmt::Write as _;

use crate::catalogue::rows;
use crate::row::{Attack, Control, Proof, Row, Status};

/// Where it is.
pub const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/bypass.md");
/// What to do about a page that says something else.
pub const REMEDY: &str = "write it anew: PICKET_BLESS=1 cargo test -p sensor-user --test bypass";

/// Areas, by the hundred.
const AREAS: [&str; 9] = [
    "Code",
    "Files",
    "Names, mounts and namespaces",
    "Deputies: somebody outside who does it",
    "Processes",
    "Network",
    "The kernel",
    "Picket itself",
    "The tag",
];

const HEAD: &str = "\
# Ways around the fence

Each row is an attack that somebody could try from inside, what stops it, and where that stands. This page is made from
the table in `tests/bypass/`, which is also the test: `cargo xtask test` tries each row on 6.12, with `--thorough`
on each kernel, by an ordinary user and by root, in each of its spellings. Without a tag the attack must work; with
one, the program must see the
errno, the event must name hook, right and subject, and nothing may have happened. `cargo xtask mutate` takes
one hook out at a time and shows that some row then fails.

The agent is assumed to be hostile, to be root, and to know this page.

";

/// The page.
pub fn write() -> String {
    let mut page = HEAD.to_owned();
    let count = |status: fn(Status) -> bool| rows().filter(|row| status(row.status)).count();
    let stopped = count(|status| status == Status::Stopped);
    let open = count(|status| status == Status::Open);
    let out = count(|status| matches!(status, Status::OutOfScope(_)));
    let ways: usize = rows().map(Row::ways).sum();
    let _ = writeln!(
        page,
        "{} rows, {ways} spellings: {stopped} stopped, {open} open, {out} out of scope.",
        rows().count()
    );
    for (index, area) in AREAS.iter().enumerate() {
        let hundred = index as u16 + 1;
        let mut of_area = rows().filter(|row| row.number / 100 == hundred).peekable();
        if of_area.peek().is_none() {
            continue;
        }
        let _ = writeln!(page, "\n## {area}\n");
        page += "| | attack | what stops it | hooks | tried | kernels | status |\n";
        page += "|---|---|---|---|---|---|---|\n";
        of_area.for_each(|row| page += &line(row));
    }
    page
}

fn line(row: &Row) -> String {
    let hooks: Vec<String> =
        row.hooks().iter().map(|hook| format!("`{}`", hook.name().unwrap())).collect();
    let kernels = row.since.map_or_else(|| "all".to_owned(), |line| format!("{line} on"));
    format!(
        "| {} | {} | {} | {} | {} | {kernels} | {} |\n",
        row.number,
        row.attack,
        row.stop,
        hooks.join(" "),
        tried(row),
        status(row),
    )
}

fn tried(row: &Row) -> String {
    match &row.proof {
        Proof::Attack(Attack { ways, control, .. }) => {
            let names: Vec<&str> = ways.iter().map(|way| way.name).collect();
            let control = match control {
                Control::Anybody => String::new(),
                Control::Root(why) => format!(" (by root: {why})"),
                Control::Nobody(why) => format!(" (not tried without a tag: {why})"),
            };
            format!("{}{control}", names.join("; "))
        }
        Proof::Test(..) => format!("`{}`", row.name()),
        Proof::Untried(why) => format!("no: {why}"),
    }
}

fn status(row: &Row) -> String {
    match row.status {
        Status::Stopped => "stopped".to_owned(),
        Status::Open => "**open**".to_owned(),
        Status::OutOfScope(why) => format!("out of scope: {why}"),
    }
}
