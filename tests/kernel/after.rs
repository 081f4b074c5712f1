//! When the programs are gone, nothing is left of the fence.

use sensor_ebpf::hook::Hook;

use crate::hooks::{CASES, WITHOUT_CASE};
use crate::support::case::{Case, DENIED};
use crate::support::child::Child;
use crate::support::fence::{World, policy};
use crate::support::place::Place;

#[test]
fn every_hook_has_a_case() {
    for (hook, name) in Hook::ALL {
        let cases = CASES.iter().filter(|case| case.hook == *hook).count();
        let expected = usize::from(!WITHOUT_CASE.contains(hook));
        assert_eq!(cases, expected, "{name}");
    }
}

/// An agent that one hook has refused something.
struct Tried {
    case: &'static Case,
    child: Child,
    place: Place,
}

#[test]
fn the_same_processes_may_do_everything_again() {
    // A second kernel side, so that it can be taken off without a word to the other tests.
    let mut world = World::new();
    let tags = world.engine.tags().unwrap();
    let mut tried: Vec<Tried> = Vec::new();
    for case in CASES {
        let place = Place::on_disk(&format!("after_{}", case.hook.name().unwrap()));
        let agent = world.add(policy(place.path(), case.policy, false));
        let dir = place.path().to_owned();
        let mut child = Child::new(&tags, move |step| case.step(&dir, step));
        child.tag(agent.tag);
        let _kept = (case.prepare)(place.path());
        assert_eq!(child.try_to(DENIED), Err(case.errno), "{:?} while it is up", case.hook);
        tried.push(Tried { case, child, place });
    }
    drop(world);
    for Tried { case, child, place } in &mut tried {
        let _kept = (case.prepare)(place.path());
        assert_eq!(child.try_to(DENIED), Ok(()), "{:?} when it is gone", case.hook);
    }
}
