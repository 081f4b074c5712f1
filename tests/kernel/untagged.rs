//! A process without a tag is nobody's business, whatever happens around it.

use std::os::fd::AsRawFd as _;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::tag::Tag;

use crate::hooks::CASES;
use crate::support::case::{Case, DENIED};
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::Res;
use crate::support::sys::files::{detached_clone, open, open_at, touch, unshare_mounts};
use crate::support::sys::process::in_child;

#[test]
fn nothing_is_refused_beside_an_agent_that_is_refused_everything() {
    // What asks for a module is a device, which is refused before by this policy.
    let others = |case: &&&Case| case.hook != Hook::KERNEL_MODULE_REQUEST;
    for case in CASES.iter().filter(others) {
        let name = case.hook.name().unwrap();
        let mut fence = Fence::up();
        let place = Place::on_disk(&format!("beside_{name}"));
        let dir = place.path();
        // Nothing is allowed here but to read whom an operation is about.
        let agent = fence.agent(dir, "files:\n  - allow: [read]\n    paths: ['${dir}/bystander']");
        let mut outside = fence.child(|step| case.step(dir, step));
        let mut inside = fence.tagged(&agent, |step| case.step(dir, step));
        let kept = (case.prepare)(dir);
        assert!(inside.try_to(DENIED).is_err(), "{name}");
        assert_eq!(outside.try_to(DENIED), Ok(()), "{name}");
        drop(kept);
    }
}

#[test]
fn what_is_a_fault_inside_is_nothing_outside() {
    let place = Place::on_disk("untagged_faults");
    place.file("file");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), "files:\n  - allow: [read]\n    paths: ['/**']");
    let dir = place.path();
    let op = |step| -> Res {
        match step {
            0 => open_at(detached_clone(dir)?.as_raw_fd(), "file", 0, 0).map(drop),
            _ => in_child(|| {
                let old = open(dir, libc::O_PATH)?;
                unshare_mounts()?;
                open_at(old.as_raw_fd(), "file", 0, 0)?;
                touch(dir.join("file"), 0)
            }),
        }
    };
    let mut outside = fence.child(op);
    for step in 0..2 {
        assert_eq!(outside.try_to(step), Ok(()));
    }
    fence.quiet(&agent);
}

#[test]
fn a_tag_ends_with_its_process() {
    let place = Place::on_disk("untagged_after");
    let secret = place.file("secret");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), "files:\n  - allow: [read]\n    paths: ['/nothing']");
    for _ in 0..20 {
        let mut child = fence.tagged(&agent, |_| touch(&secret, 0));
        assert!(child.try_to(0).is_err());
        drop(child);
        let mut next = fence.child(|_| touch(&secret, 0));
        assert_eq!(next.try_to(0), Ok(()));
        let tags = fence.tags();
        assert_eq!(next.tag_of(&tags), None::<Tag>);
    }
}
