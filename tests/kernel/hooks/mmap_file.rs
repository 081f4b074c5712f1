//! Mapping files as code.

use std::fs;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_MEMORY, ObjectSubject};

use crate::support::case::{Case, nothing};
use crate::support::expect::{Expected, Who};
use crate::support::fence::Fence;
use crate::support::place::{self, Place};
use crate::support::sys::files::{memfd, open};
use crate::support::sys::memory::{jit, map};
use crate::support::sys::process::{Ended, exec, spawn};
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

/// Both may be read; what may also be written must not become code.
pub const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']
  - allow: [write]
    paths: ['${dir}/own']";

/// As libraries are mapped.
const CODE: i32 = libc::PROT_READ | libc::PROT_EXEC;

pub const CASE: Case = Case {
    hook: Hook::MMAP_FILE,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "own");
        place::file(dir, "library");
        nothing()
    },
    denied: |dir| map_as(&dir.join("own"), CODE),
    allowed: |dir| map_as(&dir.join("library"), CODE),
    event: |dir| Expected::deny(Hook::MMAP_FILE, Rights::MAP).path(dir.join("own")),
    by_child: false,
};

fn map_as(path: &Path, protection: i32) -> Res {
    map(&open(path, libc::O_RDONLY)?, protection).map(drop)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn only_files_are_judged_and_only_as_code() {
    let place = Place::on_disk("mmap_what");
    let own = place.file("own");
    let from_memory = || map(&memfd("code")?, CODE).map(drop);
    Trial::new(&place, POLICY)
        .allowed("a file as data", || map_as(&own, libc::PROT_READ))
        .allowed("memory of one's own", jit)
        .refused(
            "a memory file as code",
            from_memory,
            EACCES,
            Expected::deny(Hook::MMAP_FILE, Rights::MAP).object(&ObjectSubject::anon(ANON_MEMORY)),
        )
        .run();
}

#[test]
fn the_loader_does_not_run_what_may_not_run() {
    // `ld.so PROGRAM`: the kernel sees the loader run, and the program only as a mapping.
    let place = Place::on_disk("mmap_loader");
    let loader = fs::canonicalize("/lib64/ld-linux-x86-64.so.2").unwrap();
    let tool = place.at("tool");
    fs::copy("/bin/true", &tool).unwrap();
    let spec = format!(
        "exec:\n  - allow: ['{}']\nfiles:\n  - allow: [read, write]\n    paths: ['${{dir}}/**']",
        loader.display()
    );
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), &spec);
    let mut child =
        fence.child(|_| match spawn(|| exec(&loader, &["ld.so", tool.to_str().unwrap()]))? {
            Ended::Code(code) => Ok(i64::from(code)),
            Ended::Signal(signal) => panic!("signal {signal}"),
        });
    assert_eq!(child.run(0), Ok(0), "outside");
    child.tag(agent.tag);
    assert_ne!(child.run(0), Ok(0), "inside");
    let event = Expected::deny(Hook::MMAP_FILE, Rights::MAP).path(&tool).comm("ld-linux-x86-64");
    fence.expect(&agent, Who::ChildOf(child.pid()), &[event]);
}
