//! A rule of the configuration for the cgroup of containers: what they run, and what somebody runs in them
//! from outside.

use serde_json::Value;

use crate::support::container::{Cgroup, Container, Errand, POLICY, PUBLIC, SECRET, WAYS_IN};
use crate::support::daemon::{Home, eventually};
use crate::support::place::Place;
use crate::support::sys::EACCES;

const ERRANDS: [Errand; 2] = [SECRET, PUBLIC];

#[test]
fn what_runs_in_a_container_of_a_rule_is_confined_also_where_it_comes_from_outside() {
    let place = Place::on_disk("daemon_containers");
    let above = Cgroup::new("picket-test-containers.slice");
    let elsewhere = Cgroup::new("picket-test-elsewhere.slice");
    let running = Container::start(&place.dir("one"), &above, "one.scope");
    let home = Home::new("containers");
    home.policy("container", POLICY);
    let daemon = home.start();
    let tags = home.tags();
    let groups = [running.cgroup().path(), elsewhere.path()];
    let mut outside = home.child(|step| {
        let (way, group, errand) = (step / 4, step / 2 % 2, step % 2);
        WAYS_IN[way as usize].go(&running, groups[group as usize], ERRANDS[errand as usize])
    });
    let mut check = |confined: bool, when: &str| {
        for (index, way) in WAYS_IN.iter().enumerate() {
            let mut opens =
                |group: u32, errand: u32| outside.try_to(index as u32 * 4 + group * 2 + errand);
            let secret = if confined { Err(EACCES) } else { Ok(()) };
            assert_eq!(opens(0, 0), secret, "{}, {when}", way.name);
            assert_eq!(opens(0, 1), Ok(()), "{}, {when}", way.name);
            assert_eq!(opens(1, 0), Ok(()), "{} elsewhere, {when}", way.name);
        }
    };
    check(false, "before there is a rule");

    let rule = format!("[[tag]]\ncgroup = {:?}\npolicy = \"container\"\n", above.path());
    home.configure(&rule);
    daemon.signal(libc::SIGHUP);
    let tag = eventually("who is in a container is taken in", || running.tag(&tags));
    check(true, "with a daemon");
    eventually("each refusal is in the log", || {
        (refusals(&home) == WAYS_IN.len() as u64).then_some(())
    });
    daemon.kill();
    check(true, "with nobody there");
    let new = Container::start(&place.dir("two"), &above, "two.scope");
    assert_eq!(new.tag(&tags), Some(tag), "its first program had no tag");

    let daemon = home.start();
    home.configure("");
    daemon.signal(libc::SIGHUP);
    eventually("the rule is gone", || {
        daemon.agents().iter().all(|agent| agent.rule.is_none()).then_some(())
    });
    check(false, "without a rule");
    assert_eq!(running.tag(&tags), Some(tag), "who is in stays in");
}

/// How many refusals the log tells of, each about the container's path of the secret.
fn refusals(home: &Home) -> u64 {
    let own = |record: &&Value| {
        record["agent"] == "container"
            && (record["type"] == "violation" || record["type"] == "repeat")
    };
    let count = |record: &Value| {
        let subject = record["subject"].as_str().unwrap_or_default();
        assert!(subject.ends_with(SECRET.file), "{record}");
        assert!(subject == SECRET.file || subject.starts_with("/jail/"), "{record}");
        record["repeats"].as_u64().unwrap_or(1)
    };
    home.records().iter().filter(own).map(count).sum()
}
