//! The table held against itself, which needs no kernel: what CI runs on any machine.

use std::collections::BTreeSet;
use std::{env, fs};

use libtest_mimic::{Failed, Trial};
use sensor_ebpf::hook::Hook;

use crate::catalogue::rows;
use crate::page;
use crate::row::{Proof, Row, Status};

/// Hooks that no row names, by the kernel's name: those that refuse nothing, and those whose rows are
/// still open or still to come. The tests of the hooks (`tests/kernel/hooks`) try them.
const WITHOUT_A_ROW: &[&str] = &[
    // Marks are made and forgotten there; what is refused, elsewhere because of them.
    "shm_alloc_security",
    "msg_queue_alloc_security",
    "sem_alloc_security",
    "shm_free_security",
    "msg_queue_free_security",
    "sem_free_security",
    // To be named.
    "inode_setattr",
    "inode_setxattr",
    "inode_removexattr",
    "inode_set_acl",
    "inode_remove_acl",
    "inode_file_setattr",
    "inode_create",
    "inode_unlink",
    "file_permission",
    "file_truncate",
    "file_ioctl",
    "file_ioctl_compat",
    "file_receive",
    "file_fcntl",
    "file_send_sigiotask",
    "path_notify",
    "capable",
    "ptrace_traceme",
    "task_setrlimit",
    "task_prlimit",
    "task_setscheduler",
    "task_setnice",
    "task_setioprio",
    "task_movememory",
    "perf_event_open",
    "kernel_module_request",
    "kernel_read_file",
    "kernel_load_data",
    "locked_down",
    "syslog",
    "settime",
    "key_alloc",
    "key_permission",
    "inode_init_security_anon",
    "uring_allowed",
    "uring_override_creds",
    "uring_sqpoll",
    "uring_cmd",
];

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
    let mut named_now = Hook::ALL.iter().filter(|(hook, _)| is_named(hook));
    if let Some((_, name)) = named_now.find(|(_, name)| WITHOUT_A_ROW.contains(name)) {
        return Err(format!("{name} has a row by now: take it off the list of those without"));
    }
    let missing = Hook::ALL.iter().filter(|(hook, _)| !is_named(hook)).map(|(_, name)| *name);
    let missing: Vec<&str> = missing.filter(|name| !WITHOUT_A_ROW.contains(name)).collect();
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
