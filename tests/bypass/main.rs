//! The catalogue of ways around the fence: a table of attacks, each with what stops it, and the proof
//! that it does. `docs/bypass.md` is made from it.
//!
//! [`row`] says what a row is, [`catalogue`] has them all, [`attempt`] tries them in an [`arena`],
//! [`page`] writes the page and [`checks`] holds the table against itself. Built with the feature
//! `kernel-tests` this program is the attacks, for a guest that may be thrown away; without it, the
//! checks.

mod arena;
mod attempt;
mod catalogue;
mod checks;
mod containers;
mod denyall;
mod errnos;
mod joining;
mod mutate;
mod page;
mod races;
mod row;
#[path = "../support/mod.rs"]
mod support;
mod sys;
mod victim;

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use row::{Proof, Row, Status};

fn main() -> ExitCode {
    if cfg!(feature = "kernel-tests") && env::args().nth(1).is_some_and(|arg| arg == "mutate") {
        return mutate::run(env::args().skip(2));
    }
    let arguments = Arguments::from_args();
    let only_checks = !cfg!(feature = "kernel-tests") || env::var_os("PICKET_CHECK").is_some();
    let tests =
        if !only_checks { catalogue::rows().filter_map(trial).collect() } else { checks::all() };
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// The test of a row. That of an open one is left out unless it is asked for (`--ignored`): it tells
/// whether the row is stopped by now.
fn trial(row: &'static Row) -> Option<Trial> {
    if matches!(row.proof, Proof::Untried(_)) {
        return None;
    }
    let test = move || {
        check(row).map_err(|wrong| {
            // Now, and not only when all are done: a later one may take the guest with it.
            eprintln!("{wrong}");
            Failed::from(wrong)
        })
    };
    Some(Trial::test(row.name(), test).with_ignored_flag(row.status != Status::Stopped))
}

/// Tries a row.
fn check(row: &Row) -> Result<(), String> {
    match &row.proof {
        Proof::Attack(attack) => attempt::check(row, attack).map_err(|wrong| wrong.to_string()),
        Proof::Test(_, test) => {
            test();
            Ok(())
        }
        Proof::Untried(why) => Err(format!("{} is not tried: {why}", row.name())),
    }
}
