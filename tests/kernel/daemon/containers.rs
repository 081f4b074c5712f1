//! A rule of the configuration for the cgroup of containers: what they run, and what somebody runs in them
//! from outside.

use std::path::Path;
use std::process::Command;

use sensor_ebpf::tagging::LEVELS;
use serde_json::Value;

use crate::support::cgroup::Cgroup;
use crate::support::container::{Container, Errand, POLICY, PUBLIC, SECRET, WAYS_IN};
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

#[test]
fn an_engine_makes_containers_in_a_cgroup_of_containers_and_only_what_runs_in_them_is_confined() {
    let place = Place::on_disk("daemon_engine");
    let above = Cgroup::new("picket-test-engine.slice");
    let elsewhere = Cgroup::new("picket-test-no-engine.slice");
    let secret = place.file("secret");
    // Who sits in a cgroup and runs a program, in the machine's mount namespace and in one of its own.
    let prints = |group: &Cgroup, by: &str| {
        let script =
            format!("echo $$ >{}/cgroup.procs; exec {by} cat \"$0\"", group.path().display());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).arg(&secret).output().unwrap().stdout == b"secret"
    };
    let (in_the_machines, in_its_own) = ("", "unshare --mount");
    assert!(prints(&above, in_its_own), "before there is a rule");
    let old = Container::start_within(&place.dir("old"), &above, "old.scope");
    let home = Home::new("engine");
    home.policy("container", POLICY);
    home.configure(&format!("[[tag]]\ncontainers = {:?}\npolicy = \"container\"\n", above.path()));
    let daemon = home.start();
    assert_eq!(daemon.status().troubles, []);
    let tags = home.tags();
    let tag = eventually("who is in a container is taken in", || old.tag(&tags));
    let new = Container::start_within(&place.dir("new"), &above, "new.scope");
    assert_eq!(new.tag(&tags), Some(tag), "its first program had no tag");
    let groups = [new.cgroup().path(), elsewhere.path()];
    let mut outside = home.child(|step| {
        let (way, group, errand) = (step / 4, step / 2 % 2, step % 2);
        WAYS_IN[way as usize].go(&new, groups[group as usize], ERRANDS[errand as usize])
    });
    let mut check = |when: &str| {
        for (index, way) in WAYS_IN.iter().enumerate() {
            let mut opens =
                |group: u32, errand: u32| outside.try_to(index as u32 * 4 + group * 2 + errand);
            let secret = if way.runs { Err(EACCES) } else { Ok(()) };
            assert_eq!((opens(0, 0), opens(0, 1)), (secret, Ok(())), "{}, {when}", way.name);
            assert_eq!(opens(1, 0), Ok(()), "{} elsewhere, {when}", way.name);
        }
        assert!(prints(&above, in_the_machines), "an engine is confined, {when}");
        assert!(!prints(&above, in_its_own), "no engine's mount namespace, {when}");
        assert!(prints(&elsewhere, in_its_own), "elsewhere, {when}");
    };
    check("with a daemon");
    daemon.kill();
    check("with nobody there");
    // The rule goes, so that whoever starts next has none.
    home.configure("");
    let daemon = home.start();
    eventually("the rule is gone", || {
        daemon.agents().iter().all(|agent| agent.rule.is_none()).then_some(())
    });
    let free = Container::start_within(&place.dir("free"), &above, "free.scope");
    assert_eq!(free.tag(&tags), None, "without a rule");
    assert!(prints(&above, in_its_own), "without a rule");
    assert_eq!(new.tag(&tags), Some(tag), "who is in stays in");
}

#[test]
fn a_rule_for_a_cgroup_that_is_too_deep_or_not_there_is_said_not_to_be_in_force() {
    let place = Place::on_disk("daemon_deep");
    // By level, from the one that is below the root.
    let mut nested = vec![Cgroup::new("picket-test-deep.slice")];
    while nested.len() < LEVELS as usize {
        nested.push(nested[nested.len() - 1].child("x"));
    }
    let [.., deepest, too_deep] = &nested[..] else { unreachable!() };
    let home = Home::new("deep");
    home.policy("container", POLICY);
    let missing = nested[0].path().join("missing");
    let rules: String = [deepest.path(), too_deep.path(), &missing]
        .map(|path| format!("[[tag]]\ncontainers = {path:?}\npolicy = \"container\"\n"))
        .concat();
    home.configure(&rules);
    let daemon = home.start();
    let troubles = daemon.status().troubles;
    assert_eq!(troubles.len(), 2, "{troubles:?}");
    let said = |path: &Path, why: &str| {
        let key = format!("containers {}", path.display());
        let said = format!("{troubles:?}");
        assert!(said.contains(&key) && said.contains(why), "{said}");
    };
    said(too_deep.path(), "is 24 levels below the root, and a rule's may be 23");
    said(&missing, "there is no cgroup");
    let tags = home.tags();
    // Below a rule's cgroup there is no limit.
    for (group, name) in [(deepest, "deepest"), (too_deep, "deeper")] {
        let container = Container::start_within(&place.dir(name), group, "one.scope");
        assert!(container.tag(&tags).is_some(), "{name}");
    }
    let free = Container::start_within(&place.dir("free"), &nested[0], "free.scope");
    assert_eq!(free.tag(&tags), None, "above the rule's");
    // The outermost goes last.
    nested.into_iter().rev().for_each(drop);
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
