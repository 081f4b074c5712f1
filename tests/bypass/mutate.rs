//! The mutation run: takes one program off at a time and shows that a row then fails.
//!
//! All in one process on one loaded kernel side: a program is taken off by putting something else in
//! its link's place, and attached again afterwards. The product has no way to leave a hook out.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use sensor_ebpf::hook::Hook;

use crate::catalogue::rows;
use crate::row::{Row, Status};
use crate::support::fence::Fence;
use crate::support::sys::files::open;
use crate::sys::bpf;

/// Rows that must fail before no more are tried.
const ENOUGH: usize = 2;

/// A program's name as the kernel keeps it.
const NAME_LENGTH: usize = 15;

/// Goes through the hooks that are named, or all. Prints a line for each, and fails when taking a
/// hook out makes no row fail.
pub fn run(names: impl Iterator<Item = String>) -> ExitCode {
    let names: Vec<String> = names.collect();
    // Brought up before anything is looked for.
    drop(Fence::up());
    let links = links();
    let mut survivors = Vec::new();
    for (hook, name) in Hook::ALL {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let cut: String = name.chars().take(NAME_LENGTH).collect();
        let Some(link) = links.get(&cut) else {
            println!("{name:<28} not in this kernel");
            continue;
        };
        let caught = without(link, || catchers(*hook));
        if caught.is_empty() {
            survivors.push(*name);
            println!("{name:<28} SURVIVED");
        } else {
            println!("{name:<28} {}", caught.join(" "));
        }
    }
    if survivors.is_empty() {
        println!("every hook that was taken out made a row fail");
        return ExitCode::SUCCESS;
    }
    println!("taken out, and no row failed: {}", survivors.join(", "));
    ExitCode::FAILURE
}

/// Rows that fail now: of those that name the hook, and if none does, the first of the others.
fn catchers(hook: Hook) -> Vec<String> {
    let harmless = |row: &&Row| row.status == Status::Stopped && !row.is_dangerous();
    let (mut naming, others): (Vec<&Row>, Vec<&Row>) =
        rows().filter(harmless).partition(|row| row.hooks().contains(&hook));
    naming.sort_by_key(|row| row.ways());
    let failing = |rows: Vec<&Row>, enough: usize| {
        rows.into_iter().filter(|row| fails(row)).take(enough).map(Row::name).collect::<Vec<_>>()
    };
    let caught = failing(naming, ENOUGH);
    if caught.is_empty() { failing(others, 1) } else { caught }
}

fn fails(row: &Row) -> bool {
    let silenced = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let outcome = std::panic::catch_unwind(|| crate::check(row));
    std::panic::set_hook(silenced);
    !matches!(outcome, Ok(Ok(())))
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
