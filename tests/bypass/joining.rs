//! Who joins a container that a rule for tagging covers by its cgroup: in every order, a program is of the
//! agent before its first instruction.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::verdict::Verdict;
use sensor_user::event::Event;

use crate::support::cgroup::Cgroup;
use crate::support::child::Child;
use crate::support::container::{Container, Errand, POLICY, PUBLIC, SECRET, WAYS_IN, WayIn};
use crate::support::fence::{Agent, Fence};
use crate::support::place::Place;
use crate::support::sys::{EACCES, Res};

/// The hooks that this test needs: one tags who runs a program, one who is forked, one refuses.
pub const HOOKS: &[Hook] = &[Hook::BPRM_CHECK_SECURITY, Hook::TASK_ALLOC, Hook::FILE_OPEN];

/// How far below the rule's cgroup the deepest is: further than rules reach.
const DEPTH: usize = 30;

const ERRANDS: [Errand; 2] = [SECRET, PUBLIC];

/// Tries all ways in, without a rule and with one.
pub fn who_joins_is_tagged() {
    let place = Place::on_disk("bypass_joining");
    let above = Cgroup::new("picket-joining");
    let container = Container::start(place.path(), &above, "container");
    let mut below = vec![container.cgroup().child("exec")];
    while below.len() < DEPTH {
        below.push(below[below.len() - 1].child("x"));
    }
    let elsewhere = Cgroup::new("picket-elsewhere");
    let inside = [container.cgroup(), &below[DEPTH - 1]];
    let groups = [inside[0], inside[1], &elsewhere];

    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut outside = fence.child(|step| {
        let (way, group, errand) = parts(step as usize);
        WAYS_IN[way].go(&container, groups[group].path(), ERRANDS[errand])
    });
    everything_opens(&mut outside, 0, "before there is a rule");
    fence.quiet(&agent);
    fence.tag_cgroup(&agent, above.path());
    everything_opens(&mut outside, inside.len(), "elsewhere");
    fence.quiet(&agent);
    for (index, way) in WAYS_IN.iter().enumerate() {
        for group in 0..inside.len() {
            is_confined(&mut fence, &agent, &mut outside, way, |errand| step(index, group, errand));
        }
    }
    fence.tag_nobody();
    everything_opens(&mut outside, 0, "without the rule");
    fence.quiet(&agent);
}

/// Both files open by every way into a cgroup.
fn everything_opens(outside: &mut Child, group: usize, when: &str) {
    for (index, way) in WAYS_IN.iter().enumerate() {
        for errand in 0..ERRANDS.len() {
            let answer = outside.try_to(step(index, group, errand));
            assert_eq!(answer, Ok(()), "{}, {when}", way.name);
        }
    }
}

/// The secret is refused, as the container's, and the other file is not.
fn is_confined(
    fence: &mut Fence,
    agent: &Agent,
    outside: &mut Child,
    way: &WayIn,
    step: impl Fn(usize) -> u32,
) {
    let (refused, allowed): (Res, Res) = (outside.try_to(step(0)), outside.try_to(step(1)));
    let events = fence.events(agent);
    assert_eq!((refused, allowed), (Err(EACCES), Ok(())), "{}: {events:#?}", way.name);
    let seen: Vec<(Hook, Verdict, Option<String>)> = events.iter().map(said).collect();
    let path = format!("{}{}", way.root, SECRET.file);
    assert_eq!(seen, [(Hook::FILE_OPEN, Verdict::Deny, Some(path))], "{}", way.name);
}

fn said(event: &Event) -> (Hook, Verdict, Option<String>) {
    (event.hook, event.verdict, event.subject.as_ref().map(ToString::to_string))
}

/// A way, a cgroup and an errand as one number.
fn step(way: usize, group: usize, errand: usize) -> u32 {
    (way * 100 + group * 10 + errand) as u32
}

fn parts(step: usize) -> (usize, usize, usize) {
    (step / 100, step / 10 % 10, step % 10)
}
