//! New processes. How the tag is handed on is in `inherit`; here is what happens where it cannot be.

use std::os::fd::AsFd as _;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::tag::Tag;

use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{open, touch};
use crate::support::sys::process::{clone_into, exit, in_child, pid, pidfd, wait};
use crate::support::sys::{EACCES, Errno};
use crate::support::trial::Trial;

const FORK: u32 = 0;
const READ: u32 = 1;

#[test]
fn a_task_with_a_tag_of_nobody_has_no_children() {
    // A tag whose agent is gone must never make a free process.
    let place = Place::on_disk("task_alloc");
    let file = place.file("file");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), "files:\n  - allow: [read]\n    paths: ['${dir}/**']");
    let op = |step| if step == FORK { in_child(|| Ok(())) } else { touch(&file, 0) };
    let mut inside = fence.child(op);
    let mut outside = fence.child(op);
    let mut sound = fence.tagged(&agent, op);
    assert_eq!(inside.try_to(FORK), Ok(()), "before");

    let stale = Tag { epoch: agent.tag.epoch + 1000, ..agent.tag };
    inside.tag(stale);
    let before = |fence: &mut Fence, hook| fence.faults(hook, Fault::STALE_TAG);
    let (forks, opens) =
        (before(&mut fence, Hook::TASK_ALLOC), before(&mut fence, Hook::FILE_OPEN));
    assert_eq!(inside.try_to(FORK), Err(Errno(libc::EAGAIN)));
    assert_eq!(inside.try_to(READ), Err(EACCES), "nothing else is open to it either");
    assert_eq!(fence.faults(Hook::TASK_ALLOC, Fault::STALE_TAG), forks + 1);
    assert_eq!(fence.faults(Hook::FILE_OPEN, Fault::STALE_TAG), opens + 1);
    fence.quiet(&agent);

    for (child, who) in [(&mut outside, "outside"), (&mut sound, "with a sound tag")] {
        assert_eq!(child.try_to(FORK), Ok(()), "{who}");
        assert_eq!(child.try_to(READ), Ok(()), "{who}");
    }
    fence.quiet(&agent);
}

#[test]
fn a_slot_that_never_held_an_agent_is_no_way_out() {
    let place = Place::on_disk("task_alloc_empty");
    let file = place.file("file");
    let mut fence = Fence::up();
    let mut inside =
        fence.child(|step| if step == FORK { in_child(|| Ok(())) } else { touch(&file, 0) });
    // Epoch 0 is that of a free slot, but 0 and 0 together mean no tag to the tests' children.
    inside.tag(Tag { agent: 1000, epoch: 0 });
    assert_eq!(inside.try_to(FORK), Err(Errno(libc::EAGAIN)));
    assert_eq!(inside.try_to(READ), Err(EACCES));
}

#[test]
fn a_slot_beyond_the_map_is_no_way_out() {
    let place = Place::on_disk("task_alloc_beyond");
    let file = place.file("file");
    let mut fence = Fence::up();
    let mut inside =
        fence.child(|step| if step == FORK { in_child(|| Ok(())) } else { touch(&file, 0) });
    inside.tag(Tag { agent: u32::MAX, epoch: 1 });
    assert_eq!(inside.try_to(FORK), Err(Errno(libc::EAGAIN)));
    assert_eq!(inside.try_to(READ), Err(EACCES));
}

#[test]
fn nobody_is_born_into_another_cgroup() {
    // By a descriptor that opening did not judge: `O_PATH` opens nothing.
    let place = Place::on_disk("task_alloc_cgroup");
    let born = || match clone_into(&open("/sys/fs/cgroup", libc::O_PATH)?)? {
        None => exit(0),
        Some(pid) => wait(pid).map(drop),
    };
    let event = Expected::deny(Hook::TASK_ALLOC, Rights::KERNEL).errno(libc::EACCES);
    let policy = "capabilities:\n  - allow: [all]";
    Trial::new(&place, policy).refused("a child", born, EACCES, event).run();
}

#[test]
fn pickets_own_children_are_nobodys() {
    // The mark of this process, which is picket's own here, must not be theirs.
    let mut fence = Fence::up();
    let child = fence.child(|_| Ok(()));
    let tags = fence.tags();
    assert_eq!(child.tag_of(&tags), None);
    let own = pidfd(pid()).unwrap();
    assert_eq!(tags.of(own.as_fd()).unwrap(), Some(Tag::SENTRY));
}
