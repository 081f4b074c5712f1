//! Running programs, by every way to run one.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_MEMORY, ObjectSubject};

use crate::support::case::{Case, nothing};
use crate::support::elf;
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::files::{memfd, open, proc_fd, write};
use crate::support::sys::process::{exec, exec_at, run, spawn, succeeded};
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

/// Everything may be mapped, so that what is refused is running it.
const POLICY: &str = "\
exec:
  - allow: ['${dir}/good', '${dir}/script']
files:
  - allow: [read, map]
    paths: ['${dir}/**', '/proc/self/**']";

pub const CASE: Case = Case {
    hook: Hook::BPRM_CHECK_SECURITY,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        place::program(dir, "bad", &elf::program());
        place::program(dir, "good", &elf::program());
        nothing()
    },
    denied: |dir| run(dir.join("bad"), &[]),
    allowed: |dir| run(dir.join("good"), &[]),
    event: |dir| denied(&dir.join("bad")),
    by_child: true,
};

fn denied(path: &Path) -> Expected {
    Expected::deny(Hook::BPRM_CHECK_SECURITY, Rights::EXEC).path(path)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn the_interpreter_of_a_script_is_a_program_too() {
    let place = Place::on_disk("exec_script");
    let bad = place::program(place.path(), "bad", &elf::program());
    let text = format!("#!{}\n", bad.display());
    let script = place::program(place.path(), "script", text.as_bytes());
    Trial::new(&place, POLICY)
        .refused_to_child("a script", || run(&script, &[]), EACCES, denied(&bad))
        .run();
}

#[test]
fn every_way_to_name_a_program_is_judged_by_the_program() {
    let place = Place::on_disk("exec_names");
    let bad = place::program(place.path(), "bad", &elf::program());
    let link = place.at("good");
    std::os::unix::fs::symlink("bad", &link).unwrap();
    let by_descriptor = || {
        let file = open(&bad, libc::O_PATH)?;
        succeeded(spawn(|| exec_at(file.as_raw_fd(), "", &[], libc::AT_EMPTY_PATH)))
    };
    let by_proc = || {
        let file = open(&bad, libc::O_RDONLY)?;
        succeeded(spawn(|| exec(proc_fd(&file), &[])))
    };
    Trial::new(&place, POLICY)
        .refused_to_child("a link with a good name", || run(&link, &[]), EACCES, denied(&bad))
        .refused_to_child("a descriptor", by_descriptor, EACCES, denied(&bad))
        .refused_to_child("/proc/self/fd", by_proc, EACCES, denied(&bad))
        .run();
}

#[test]
fn a_program_without_a_name_does_not_run() {
    let place = Place::on_disk("exec_nameless");
    let in_memory =
        Expected::deny(Hook::FILE_OPEN, Rights::MAP).object(&ObjectSubject::anon(ANON_MEMORY));
    let from_memory = |start: fn(&std::os::fd::OwnedFd) -> Res| {
        move || {
            let file = memfd("good")?;
            write(&file, &elf::program())?;
            start(&file)
        }
    };
    let by_descriptor = from_memory(|file| {
        succeeded(spawn(|| exec_at(file.as_raw_fd(), "", &[], libc::AT_EMPTY_PATH)))
    });
    // Opened again for reading, because a file that is open for writing is busy.
    let by_proc = from_memory(|file| succeeded(spawn(|| exec(proc_fd(file), &[]))));
    let bad = place.at("bad");
    let unlinked = || {
        let file = open(&bad, libc::O_RDONLY)?;
        crate::support::sys::files::unlink(&bad)?;
        succeeded(spawn(|| exec_at(file.as_raw_fd(), "", &[], libc::AT_EMPTY_PATH)))
    };
    let spec = format!("{POLICY}\n  - allow: [delete]\n    paths: ['${{dir}}/bad']");
    Trial::new(&place, &spec)
        .prepare(|| drop(place::program(place.path(), "bad", &elf::program())))
        .refused_to_child(
            "a memory file by its descriptor",
            by_descriptor,
            EACCES,
            in_memory.clone(),
        )
        .refused_to_child("a memory file by /proc", by_proc, EACCES, in_memory)
        .run();
    // Apart, because it is gone afterwards, for the outside too.
    let mut fence = crate::support::fence::Fence::up();
    let agent = fence.agent(place.path(), &spec);
    let mut child = fence.tagged(&agent, |_| unlinked());
    place::program(place.path(), "bad", &elf::program());
    assert_eq!(child.try_to(0), Err(EACCES));
    let who = crate::support::expect::Who::ChildOf(child.pid());
    fence.expect(&agent, who, &[denied(&bad)]);
    assert!(!fs::exists(&bad).unwrap());
}
