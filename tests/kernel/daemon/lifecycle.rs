//! Starting, stopping, dying, and coming back.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;

use sensor_user::kernel::{pins, record};
use serde_json::Value;

use super::{PUBLIC, SECRET, reader, reads_public};
use crate::support::daemon::{Home, eventually};
use crate::support::place::Place;
use crate::support::sys::EACCES;

#[test]
fn a_daemon_is_ready_when_its_canary_was_refused_everything_and_leaves_its_pins() {
    let home = Home::apart("ready");
    let daemon = home.start();
    let status = daemon.status();
    let free: Vec<_> = status.canary.probes.iter().filter(|probe| !probe.refused).collect();
    assert!(free.is_empty(), "{free:#?}");
    assert!(status.canary.probes.len() > 10, "{:?}", status.canary);
    assert_eq!((status.enforcing, status.arrival.as_str()), (true, "made"));
    assert!(status.hooks.iter().all(|hook| hook.armed), "{:?}", status.hooks);
    assert_eq!((status.agents, status.tables.0), (0, 0), "the canary left something");
    assert_eq!(daemon.get::<Value>("/v1/ready").unwrap()["enforcing"], true);
    let notices = home.notices();
    assert!(notices.contains(&"canary was refused everything".to_owned()), "{notices:?}");

    let status = daemon.stop();
    assert!(status.success(), "{status}");
    assert!(UnixStream::connect(home.socket()).is_err(), "nobody listens any more");
    assert!(home.pins().join(record::NAME).exists());
    assert_eq!(pins::generations(home.pins()).unwrap(), [1]);
    assert_eq!(home.notices().last().map(String::as_str), Some("daemon stopped"));
}

#[test]
fn a_killed_daemon_leaves_its_agents_confined_and_the_next_one_goes_on() {
    let place = Place::on_disk("daemon_killed");
    let home = Home::new("killed");
    // Each violation has a line of its own.
    home.configure("events.repeats = \"0s\"");
    home.policy("reader", &reads_public(&place));
    let daemon = home.start();
    let id = daemon.agent("reader");
    let mut inside = reader(&home, &place);
    assert_eq!(inside.try_to(SECRET), Ok(()), "before it is tagged");
    daemon.enter(id, &inside);
    assert_eq!(inside.try_to(SECRET), Err(EACCES));
    daemon.kill();
    assert_eq!(inside.try_to(SECRET), Err(EACCES), "with nobody there");
    assert_eq!(inside.try_to(PUBLIC), Ok(()), "with nobody there");
    let mut outside = reader(&home, &place);
    assert_eq!(outside.try_to(SECRET), Ok(()), "without a tag");

    let daemon = home.start();
    assert_eq!(daemon.status().arrival, "adopted");
    assert!(daemon.status().enforcing);
    let agents = daemon.agents();
    assert_eq!(agents.len(), 1, "{agents:?}");
    assert_eq!((agents[0].id, agents[0].name.as_str()), (id, "reader"));
    let pids: Vec<u32> = agents[0].processes.iter().map(|process| process.pid).collect();
    assert_eq!(pids, [inside.pid().cast_unsigned()]);
    assert_eq!(inside.try_to(SECRET), Err(EACCES), "with the next one there");
    // What happened while nobody was there was kept by the ring. One that the log got while its daemon
    // was killed may be there twice.
    let numbers = eventually("three violations in the log", || {
        let records = home.records();
        let own = records.iter().filter(|record| record["agent_id"] == id.to_string());
        let numbers: BTreeSet<u64> = own.filter_map(|record| record["seq"].as_u64()).collect();
        (numbers.len() >= 3).then_some(numbers)
    });
    assert!(numbers.into_iter().eq([0, 1, 2]));
    drop(inside);
    eventually("the agent is noticed to have ended", || daemon.agents().is_empty().then_some(()));
    assert_eq!(outside.try_to(SECRET), Ok(()), "without a tag");
}

#[test]
fn a_second_daemon_is_refused_while_one_runs() {
    let home = Home::new("second");
    let daemon = home.start();
    let (status, printed) = home.fail_to_start();
    assert_eq!(status.code(), Some(125), "{printed}");
    assert!(printed.contains("a daemon runs already"), "{printed}");
    assert!(daemon.status().enforcing);
    // Of a crash: nobody holds the lock, and the socket is still there.
    daemon.kill();
    assert!(fs::exists(home.socket()).unwrap());
    let daemon = home.start();
    assert_eq!(daemon.status().arrival, "adopted");
}
