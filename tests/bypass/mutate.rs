//! The mutation run: takes one program off at a time and shows that a row then fails.
//!
//! All in one process on one loaded kernel side: a program is taken off by putting something else in
//! its link's place, and attached again afterwards. The product has no way to leave a hook out.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use sensor_ebpf::hook::Hook;

use crate::attempt;
use crate::catalogue::rows;
use crate::row::{Proof, Row, Status};
use crate::support::fence::Fence;
use crate::support::sys::files::open;
use crate::sys::bpf;

/// A program's name as the kernel keeps it.
const NAME_LENGTH: usize = 15;

/// Goes through the hooks that are named, or all. Prints a line for each with the row that fails without
/// it and what it says, and fails when taking a hook out makes no row fail.
pub fn run(names: impl Iterator<Item = String>) -> ExitCode {
    let names: Vec<String> = names.collect();
    if let Some(unknown) = names.iter().find(|name| Hook::from_name(name).is_none()) {
        eprintln!("there is no hook {unknown}; docs/bypass.md has their names");
        return ExitCode::FAILURE;
    }
    // Brought up before anything is looked for.
    Fence::up().keep_on_demand();
    let links = links();
    let mut survivors = Vec::new();
    let mut caught = 0;
    for (hook, name) in Hook::ALL {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let cut: String = name.chars().take(NAME_LENGTH).collect();
        let Some(link) = links.get(&cut) else {
            println!("{name:<25} not in this kernel");
            continue;
        };
        if let Some((row, says)) = without(link, || catcher(*hook)) {
            caught += 1;
            println!("{name:<25} {row}: {says}");
        } else {
            survivors.push(*name);
            println!("{name:<25} NOTHING NOTICED");
        }
    }
    if survivors.is_empty() {
        println!("{caught} hooks taken out one at a time, and each time a row failed");
        return ExitCode::SUCCESS;
    }
    println!("taken out, and no row failed: {}", survivors.join(", "));
    ExitCode::FAILURE
}

/// The first of the rows that name a hook which fails now, and what it says. Those with fewest ways come
/// first.
fn catcher(hook: Hook) -> Option<(String, String)> {
    let harmless = |row: &&Row| row.status == Status::Stopped && !row.is_dangerous();
    let mut naming: Vec<&Row> =
        rows().filter(harmless).filter(|row| row.hooks().contains(&hook)).collect();
    naming.sort_by_key(|row| row.ways());
    naming.into_iter().find_map(|row| Some((row.name(), failure(row, hook)?)))
}

/// What a row says, of which only what concerns the hook is tried, if it fails.
fn failure(row: &Row, hook: Hook) -> Option<String> {
    let silenced = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| match &row.proof {
        Proof::Attack(attack) => attempt::check_ways(row, attack, |way| attack.concerns(way, hook))
            .map_err(|wrong| wrong.to_string()),
        _ => crate::check(row),
    }));
    panic::set_hook(silenced);
    match outcome {
        Ok(Ok(())) => None,
        Ok(Err(says)) => Some(says),
        Err(panicked) => {
            let text = panicked.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panicked.downcast_ref::<&str>().copied());
            Some(text.unwrap_or("it panicked").lines().collect::<Vec<_>>().join(" "))
        }
    }
}

/// A link of this process.
struct Link {
    descriptor: i32,
    program: u32,
}

/// This process's links, by the name of the program.
fn links() -> BTreeMap<String, Link> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        if !fs::read_link(&path).is_ok_and(|to| to.ends_with("anon_inode:bpf_link")) {
            continue;
        }
        let number = path.file_name().unwrap().to_str().unwrap();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let program = info.lines().find_map(|line| line.strip_prefix("prog_id:"));
        let program = program.and_then(|id| id.trim().parse().ok()).expect("a link has a program");
        let name = bpf::program_name(&bpf::program(program).unwrap()).unwrap();
        let link = Link { descriptor: number.parse().unwrap(), program };
        assert!(found.insert(name.clone(), link).is_none(), "two programs are called {name}");
    }
    found
}

/// Runs `body` while a program is off.
fn without<T>(link: &Link, body: impl FnOnce() -> T) -> T {
    // Taken first: with its last link a program may go.
    let program = bpf::program(link.program).unwrap();
    let nothing = open("/dev/null", libc::O_RDONLY).unwrap();
    bpf::put_in_place(&nothing, link.descriptor).unwrap();
    let outcome = body();
    let again = bpf::attach(&program).unwrap();
    bpf::put_in_place(&again, link.descriptor).unwrap();
    outcome
}
