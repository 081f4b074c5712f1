//! Making code of what was mapped as data.

use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::mmap_file::POLICY;
use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::files::open;
use crate::support::sys::memory::map;
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

pub const CASE: Case = Case {
    hook: Hook::FILE_MPROTECT,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "own");
        place::file(dir, "library");
        nothing()
    },
    denied: |dir| protect(&dir.join("own"), libc::PROT_READ | libc::PROT_EXEC),
    allowed: |dir| protect(&dir.join("library"), libc::PROT_READ | libc::PROT_EXEC),
    event: |dir| Expected::deny(Hook::FILE_MPROTECT, Rights::MAP).path(dir.join("own")),
    by_child: false,
};

/// Maps a file as data and changes its mind.
fn protect(path: &Path, protection: i32) -> Res {
    map(&open(path, libc::O_RDONLY)?, libc::PROT_READ)?.protect(protection)
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn other_protections_are_nobodys_business() {
    let place = Place::on_disk("mprotect_data");
    let own = place.file("own");
    Trial::new(&place, POLICY)
        .allowed("none", || protect(&own, libc::PROT_NONE))
        .allowed("writing a private copy", || protect(&own, libc::PROT_READ | libc::PROT_WRITE))
        .run();
}
