//! Events are numbered without gaps, what is lost is counted, and no verdict depends on them.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::touch;
use crate::support::sys::{EACCES, Res};

const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/public']";

/// More than the ring has room for: a short record takes more than 600 bytes of 1 MiB.
const FLOOD: u64 = 3000;

#[test]
fn each_agent_counts_its_own() {
    let place = Place::on_disk("events_agents");
    let secret = place.file("secret");
    let mut fence = Fence::up();
    let agents = [fence.agent(place.path(), POLICY), fence.agent(place.path(), POLICY)];
    let starts = agents.clone().map(|agent| fence.counters(&agent).0);
    let mut children = agents.clone().map(|agent| fence.tagged(&agent, |_| touch(&secret, 0)));
    for round in 0..10 {
        assert_eq!(children[0].try_to(0), Err(EACCES));
        if round % 3 == 0 {
            assert_eq!(children[1].try_to(0), Err(EACCES));
        }
    }
    for (number, count) in [(0, 10), (1, 4)] {
        let events = fence.events(&agents[number]);
        let numbers: Vec<u64> = events.iter().map(|event| event.header.seq).collect();
        let start = starts[number];
        assert_eq!(numbers, (start..start + count).collect::<Vec<_>>());
        assert_eq!(fence.counters(&agents[number]), (start + count, events[0].header.lost));
    }
}

#[test]
fn what_finds_no_room_is_counted_and_refused_all_the_same() {
    let place = Place::on_disk("events_flood");
    let (secret, public) = (place.file("secret"), place.file("public"));
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let (start, lost_before) = fence.counters(&agent);
    let flood = |_| -> Res<i64> {
        let refused = (0..FLOOD).filter(|_| touch(&secret, 0) == Err(EACCES)).count();
        touch(&public, 0)?;
        Ok(refused as i64)
    };
    let mut child = fence.tagged(&agent, flood);
    // Nobody reads meanwhile.
    assert_eq!(child.run(0), Ok(FLOOD as i64), "every single one is refused");
    let (next, lost) = fence.counters(&agent);
    let events = fence.leftovers(&agent);
    assert_eq!(next - start, FLOOD, "a lost event has a number too");
    assert!(lost > lost_before, "the ring has room for {FLOOD}");
    assert_eq!(events.len() as u64 + (lost - lost_before), FLOOD);
    // What was delivered says itself what is missing: it was all sent before the first loss.
    for (event, seq) in events.iter().zip(start..) {
        assert_eq!((event.header.seq, event.header.lost), (seq, lost_before));
    }

    // The stream goes on, and tells of the gap.
    let mut again = fence.tagged(&agent, |_| touch(&secret, 0));
    assert_eq!(again.try_to(0), Err(EACCES));
    let events = fence.events(&agent);
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.header.seq, event.header.lost), (start + FLOOD, lost));
}

#[test]
fn the_longest_subjects_fit() {
    // Two whole paths in one event: a rename of a name of 255 bytes in a deep directory.
    let place = Place::on_disk("events_long");
    let mut dir = place.path().to_owned();
    while dir.as_os_str().len() + 256 < 3600 {
        dir.push("d".repeat(255));
    }
    std::fs::create_dir_all(&dir).unwrap();
    let (old, new) = (dir.join("o".repeat(255)), dir.join("n".repeat(255)));
    std::fs::write(&old, "x").unwrap();
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), "files:\n  - allow: [read]\n    paths: ['/x']");
    let rename = |_| crate::support::sys::files::rename(&old, &new);
    let mut child = fence.tagged(&agent, rename);
    assert_eq!(child.try_to(0), Err(EACCES));
    let event = Expected::deny(Hook::PATH_RENAME, Rights::DELETE).path(&old).peer(&new);
    fence.expect(&agent, &child, &[event]);
}
