//! Capabilities: root inside an agent is not root.

use sensor_ebpf::capability::Capability;
use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{detached_clone, open, touch};
use crate::support::sys::kernel::{
    chroot_here, init_module, ioperm, join_mounts, open_by_handle, own_time, set_host_name,
};
use crate::support::sys::process::{become_user, in_child};
use crate::support::sys::{EPERM, Res};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read, list, write]
    paths: ['/**']
capabilities:
  - allow: [net_admin]
  - deny: [sys_time]";

pub const CASE: Case = Case {
    hook: Hook::CAPABLE,
    errno: EPERM,
    policy: POLICY,
    prepare: |_| nothing(),
    denied: |_| in_child(|| become_user(1000)),
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| denied(Capability::SETGID),
    by_child: true,
};

fn denied(capability: Capability) -> Expected {
    Expected::deny(Hook::CAPABLE, Rights::KERNEL).object(&ObjectSubject::capability(capability))
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn what_has_no_hook_of_its_own_is_refused_by_its_capability() {
    let place = Place::on_disk("capable_ways");
    let dir = place.path();
    let admin = || denied(Capability::SYS_ADMIN);
    Trial::new(&place, POLICY)
        .refused("open_tree", || detached_clone(dir).map(drop), EPERM, admin())
        .refused("the host's name", set_host_name, EPERM, admin())
        .refused("setns", join_mounts, EPERM, admin())
        .refused("ports", ioperm, EPERM, denied(Capability::SYS_RAWIO))
        .refused("modules", init_module, EPERM, denied(Capability::SYS_MODULE))
        .refused("chroot", chroot_here, EPERM, denied(Capability::SYS_CHROOT))
        .run();
}

#[test]
fn files_cannot_be_opened_by_handle() {
    let place = Place::on_disk("capable_handle");
    let file = place.file("file");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut outside = fence.child(|_| open_by_handle(&file).map(drop));
    let mut inside = fence.tagged(&agent, |_| open_by_handle(&file).map(drop));
    assert_eq!(outside.try_to(0), Ok(()));
    assert_eq!(inside.try_to(0), Err(EPERM));
    // Not reported, because every path that root looks up asks for the same capability.
    fence.quiet(&agent);
}

#[test]
fn root_still_reaches_the_files_of_others_as_the_rules_on_files_say() {
    let place = Place::on_disk("capable_files");
    let secret = place.file("secret");
    let own = || -> Res {
        in_child(|| {
            std::os::unix::fs::chown(&secret, Some(1000), Some(1000)).unwrap();
            std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o000))
                .unwrap();
            Ok(())
        })
    };
    Trial::new(&place, POLICY)
        .prepare(move || own().unwrap())
        .allowed("a file of another user", || open(&secret, libc::O_RDWR).map(drop))
        .run();
}

#[test]
fn the_clock_is_refused_also_where_everything_is_allowed() {
    let place = Place::on_disk("capable_deny");
    let policy = "\
files:
  - allow: [read]
    paths: ['/**']
capabilities:
  - allow: [all]
  - deny: [sys_time]";
    let event = denied(Capability::SYS_TIME).rule(6);
    Trial::new(&place, policy)
        .allowed("the host's name", set_host_name)
        .refused("the clock", own_time, EPERM, event)
        .run();
}
