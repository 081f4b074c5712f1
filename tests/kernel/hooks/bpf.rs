//! The system call that could take the fence off.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::EPERM;
use crate::support::sys::files::touch;
use crate::support::sys::process::make_map;

pub const CASE: Case = Case {
    hook: Hook::BPF,
    errno: EPERM,
    policy: "\
files:
  - allow: [read, list]
    paths: ['${dir}/**']
capabilities:
  - allow: [all]",
    prepare: |_| nothing(),
    denied: |_| make_map(),
    allowed: |dir| touch(dir, libc::O_DIRECTORY),
    event: |_| Expected::deny(Hook::BPF, Rights::KERNEL),
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn a_tag_cannot_be_changed_from_inside() {
    // The child has inherited the descriptor of the map of tags; what keeps it from using it is
    // the hook.
    let place = Place::on_disk("bpf_retag");
    let mut fence = Fence::up();
    let narrow = fence.agent(place.path(), CASE.policy);
    let wide = fence.agent(place.path(), "files:\n  - allow: [read, list]\n    paths: ['/**']");
    let tags = fence.tags();
    let mut child = fence.tagged(&narrow, |_| {
        let changed = tags.tag_self(wide.tag);
        let refused =
            changed.map_err(|e| crate::support::sys::Errno(e.raw_os_error().unwrap_or(0)));
        refused.map(|()| 0)
    });
    assert_eq!(child.run(0), Err(EPERM));
    fence.expect(&narrow, &child, &[(CASE.event)(place.path())]);
    let own = fence.tags();
    assert_eq!(child.tag_of(&own), Some(narrow.tag));
}
