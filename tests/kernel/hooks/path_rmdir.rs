//! Taking directories away.

use std::fs;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::EACCES;
use crate::support::sys::files::{rmdir, rmdir_at};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [create, delete]
    paths: ['${dir}/**']
  - deny: [delete]
    paths: ['${dir}/yours']";

pub const CASE: Case = Case {
    hook: Hook::PATH_RMDIR,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        for name in ["yours", "mine"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        nothing()
    },
    denied: |dir| rmdir(dir.join("yours")),
    allowed: |dir| rmdir(dir.join("mine")),
    event: |dir| Expected::deny(Hook::PATH_RMDIR, Rights::DELETE).path(dir.join("yours")).rule(5),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn unlinkat_is_the_same() {
    let place = Place::on_disk("rmdir_at");
    let yours = place.at("yours");
    Trial::new(&place, POLICY)
        .prepare(|| drop(place.dir("yours")))
        .refused("AT_REMOVEDIR", || rmdir_at(&yours), EACCES, (CASE.event)(place.path()))
        .run();
}
