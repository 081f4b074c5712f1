//! The table held against itself, which needs no kernel: what CI runs on any machine.

use std::collections::BTreeSet;
use std::{env, fs};

use libtest_mimic::{Failed, Trial};
use sensor_ebpf::hook::Hook;

use crate::catalogue::rows;
use crate::page;
use crate::row::{Proof, Row, Status};

/// The checks.
pub fn all() -> Vec<Trial> {
    let trial = |name: &str, check: fn() -> Result<(), String>| {
        Trial::test(name, move || check().map_err(Failed::from))
    };
    vec![
        trial("rows_are_numbered_in_order", numbers),
        trial("a_row_that_is_stopped_has_a_test", stopped_rows_are_tested),
        trial("a_row_without_a_test_says_why", untried_rows_say_why),
        trial("each_hook_is_named_by_a_row_that_is_stopped", hooks_are_named),
        trial("the_page_says_what_the_table_says", page_is_current),
    ]
}

fn numbers() -> Result<(), String> {
    let numbers: Vec<u16> = rows().map(|row| row.number).collect();
    match numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!("{} comes before {}", pair[0], pair[1])),
        None => Ok(()),
    }
}

fn stopped_rows_are_tested() -> Result<(), String> {
    let untried =
        |row: &&Row| row.status == Status::Stopped && (row.ways() == 0 || row.hooks().is_empty());
    none(rows().filter(untried), "says that it is stopped and has no test, or no hook")
}

fn untried_rows_say_why() -> Result<(), String> {
    let silent = |row: &&Row| match row.status {
        Status::OutOfScope(why) => why.is_empty(),
        _ => matches!(row.proof, Proof::Untried("")),
    };
    none(rows().filter(silent), "does not say why")
}

fn hooks_are_named() -> Result<(), String> {
    let named: BTreeSet<u32> = rows()
        .filter(|row| row.status == Status::Stopped)
        .flat_map(Row::hooks)
        .map(|hook| hook.0)
        .collect();
    let is_named = |hook: &Hook| named.contains(&hook.0);
    let missing = Hook::ALL.iter().filter(|(hook, _)| !is_named(hook)).map(|(_, name)| *name);
    let missing: Vec<&str> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "no row that is stopped names {}: what may an agent do when it is taken out?",
        missing.join(", ")
    ))
}

fn page_is_current() -> Result<(), String> {
    let page = page::write();
    if env::var_os("PICKET_BLESS").is_some() {
        fs::write(page::FILE, &page).map_err(|error| format!("{}: {error}", page::FILE))?;
    }
    let found = fs::read_to_string(page::FILE).unwrap_or_default();
    let differs = page.lines().zip(found.lines()).find(|(table, file)| table != file);
    match differs {
        _ if page == found => Ok(()),
        Some((table, file)) => {
            Err(format!("docs/bypass.md has `{file}`, the table `{table}`; {}", page::REMEDY))
        }
        None => {
            Err(format!("docs/bypass.md has more lines or fewer than the table; {}", page::REMEDY))
        }
    }
}

fn none<'a>(rows: impl Iterator<Item = &'a Row>, what: &str) -> Result<(), String> {
    let names: Vec<String> = rows.map(Row::name).collect();
    if names.is_empty() { Ok(()) } else { Err(format!("{} {what}", names.join(", "))) }
}
