//! What must be so whatever happens: the forbidden never goes through, the allowed never fails.
//! `PICKET_PROOF` says how often the policy changes after each restart; where that is as often as
//! [`FULL`], the program is also upgraded and back, which takes a minute under emulation (the tests of the
//! package do it each time).

use std::fs;
use std::path::Path;

use hyper::Method;
use sensor_user::api::client::ClientError;
use sensor_user::api::types::{Agent, AgentId, Reloaded, Status};
use sensor_user::kernel::maps::Maps;
use serde_json::json;

use super::adversity::{Clock, SmallDisk, Ward, other_build};
use super::{reads_public, say, setting};
use crate::support::child::Child;
use crate::support::daemon::{Daemon, Home, PICKET, eventually};
use crate::support::place::Place;
use crate::support::sys::files::touch;
use crate::support::sys::{EACCES, Res};

/// Has several processes try the forbidden and the allowed in a tight loop while `meanwhile` goes on.
/// A single wrong outcome is a failure. How often all of them tried both.
fn while_looping<T>(
    children: Vec<Child>,
    stop: &Path,
    meanwhile: impl FnOnce() -> T,
) -> (T, Vec<i64>) {
    let loops: Vec<_> = children
        .into_iter()
        .map(|mut child| std::thread::spawn(move || child.run(LOOP).unwrap()))
        .collect();
    // They end also where that fails.
    let ends = Ends(stop);
    let outcome = meanwhile();
    drop(ends);
    let counts: Vec<i64> = loops.into_iter().map(|each| each.join().unwrap()).collect();
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    (outcome, counts)
}

/// Tells loopers to end when it is dropped.
struct Ends<'a>(&'a Path);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let _ = fs::write(self.0, "");
    }
}

/// The step of a looper that loops.
const LOOP: u32 = 7;

/// A process that tries both until the file `stop` is there.
fn looper(home: &Home, place: &Place, stop: &Path) -> Child {
    let (secret, public) = (place.file("secret"), place.file("public"));
    let stop = stop.to_owned();
    home.child(move |step| -> Res<i64> {
        if step != LOOP {
            // Or the daemon, which has to be done with so much, would hardly get at a processor.
            // SAFETY: integers only.
            assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) }, 0);
            return touch(&secret, 0).map(|()| 0);
        }
        let mut count = 0;
        while !stop.exists() {
            for _ in 0..64 {
                assert_eq!(touch(&secret, 0), Err(EACCES), "the forbidden, after {count}");
                assert_eq!(touch(&public, 0), Ok(()), "the allowed, after {count}");
                count += 1;
            }
        }
        Ok(count)
    })
}

/// What is done to the daemon while the processes try.
struct Trials<'a> {
    home: &'a Home,
    place: &'a Place,
    agent: AgentId,
    ward: Ward,
    clock: Clock,
    /// Texts so far.
    texts: usize,
    /// How often a table found no memory, and how often the daemon found none.
    refused: usize,
    taken: usize,
}

/// How often one daemon follows another: fifty that were killed, and five that were told to stop.
const RESTARTS: usize = 55;

/// How many reloads follow each restart, where there is little time, and where there is much.
const RELOADS: usize = 2;
const FULL: usize = 18;

/// Less than a table takes, and enough for everything else.
const SCARCE: u64 = 3 << 20;

impl Trials<'_> {
    /// Puts another text into the policy's file: the same rights, and another table.
    fn write(&mut self) {
        self.texts += 1;
        let more = format!("  - allow: [read]\n    paths: ['/nowhere/{}']", self.texts);
        self.home.policy("reader", &format!("{}\n{more}", reads_public(self.place)));
    }

    /// The same, and has it read.
    fn reload(&mut self, daemon: &Daemon) -> Reloaded {
        self.write();
        daemon.call(Method::POST, "/v1/reload", &json!({})).unwrap()
    }

    /// One daemon goes, by a signal that it can hear or not; nobody reads until the ring is full; then
    /// another comes.
    fn restart(&self, daemon: Daemon, kill: bool) -> Daemon {
        if kill {
            daemon.kill();
        } else {
            assert!(daemon.stop().success());
        }
        let slot: u32 = self.agent.to_string().split('.').next().unwrap().parse().unwrap();
        let lost = || Maps::pinned(self.home.pins()).unwrap().agent(slot).unwrap().lost;
        let before = lost();
        eventually("the ring is full", || (lost() > before).then_some(()));
        let daemon = self.home.start();
        assert_eq!(daemon.status().arrival, "adopted");
        daemon
    }

    /// There is no memory for a new table, and perhaps none for the daemon itself: the text in force stays and
    /// it is said, or the kernel takes the daemon and another comes. Then there is memory again.
    fn starve(&mut self, daemon: Daemon) -> Daemon {
        self.ward.admit(daemon.pid());
        // So that the table which the next one replaces counts here.
        assert!(self.reload(&daemon).problems.is_empty());
        let before = daemon.agents()[0].version.clone();
        let killed = self.ward.killed();
        self.ward.starve(SCARCE);
        self.write();
        let refused = refused_for_memory(&daemon, &before);
        self.ward.feed();
        let daemon = match refused {
            Ok(()) => {
                self.refused += 1;
                daemon
            }
            Err(error) => {
                // It is not there to answer, for this and for no other reason.
                assert!(self.ward.killed() > killed, "it did not answer: {error}");
                self.taken += 1;
                daemon.kill();
                let daemon = self.home.start();
                assert_eq!(daemon.status().arrival, "adopted");
                daemon
            }
        };
        let done: Reloaded = daemon.call(Method::POST, "/v1/reload", &json!({})).unwrap();
        assert!(done.problems.is_empty(), "{done:?}");
        assert_ne!(daemon.agents()[0].version, before, "the text that found no room before");
        daemon
    }

    /// Another build takes over from the one that there is.
    fn upgrade(&self, daemon: Daemon, to: &Path) -> Daemon {
        let before = daemon.status();
        assert!(daemon.stop().success());
        let daemon = self.home.start_as(to);
        let after = daemon.status();
        assert!(after.enforcing && after.arrival.starts_with("upgraded from"), "{after:?}");
        // What it knows its own programs and version by.
        assert_ne!(after.object, before.object);
        assert!(after.generation > before.generation, "the old programs are in force");
        daemon
    }
}

/// A reload that finds no room for a table leaves what was in force, and it is said.
fn refused_for_memory(daemon: &Daemon, before: &str) -> Result<(), ClientError> {
    let done: Reloaded = daemon.call(Method::POST, "/v1/reload", &json!({}))?;
    let [(_, problem)] = &done.problems[..] else { panic!("it did not fail: {done:?}") };
    assert!(problem.contains("make room for a policy table"), "{problem}");
    assert_eq!(done.moved, 0);
    assert_eq!(daemon.get::<Vec<Agent>>("/v1/agents")?[0].version, before);
    assert_eq!(daemon.get::<Status>("/v1/status")?.problems.len(), 1);
    Ok(())
}

#[test]
fn the_forbidden_never_goes_through_and_the_allowed_never_fails() {
    let reloads = setting("PICKET_PROOF", RELOADS);
    let place = Place::on_disk("daemon_proof");
    let home = Home::new("proof");
    let disk = SmallDisk::mount(place.at("log"));
    home.configure_with_log(&disk.path().join("events.jsonl"), "");
    home.policy("reader", &reads_public(&place));
    let mut daemon = home.start();
    let agent = daemon.agent("reader");
    let stop = place.at("stop");
    let mut children: Vec<Child> = (0..4).map(|_| looper(&home, &place, &stop)).collect();
    for child in &mut children {
        assert_eq!(child.try_to(0), Ok(()), "before it is tagged");
        daemon.enter(agent, child);
    }
    let (ward, clock) = (Ward::new("picket-proof"), Clock::new());
    let mut trials =
        Trials { home: &home, place: &place, agent, ward, clock, texts: 0, refused: 0, taken: 0 };
    let (daemon, counts) = while_looping(children, &stop, || {
        for round in 0..RESTARTS {
            daemon = trials.restart(daemon, round % 11 != 10);
            for _ in 0..reloads {
                match trials.texts % 20 {
                    5 => trials.clock.forth(),
                    10 => trials.clock.back(),
                    15 => trials.clock.right(),
                    _ => {}
                }
                let done = trials.reload(&daemon);
                assert!(done.problems.is_empty(), "{done:?}");
            }
            if round % 10 == 2 {
                daemon = trials.starve(daemon);
            }
        }
        if reloads >= FULL {
            let other = other_build(place.path());
            let object = daemon.status().object;
            daemon = trials.upgrade(daemon, &other);
            daemon = trials.upgrade(daemon, PICKET.as_ref());
            assert_eq!(daemon.status().object, object, "it is not as it was");
        }
        let sink = daemon.status().sinks.into_iter().find(|sink| sink.name == "file").unwrap();
        assert!(sink.missed > 0, "the disk was not full: {sink:?}");
        daemon
    });
    say(&format!(
        "over {} restarts (50 after a kill) and {} texts four processes tried the forbidden and the allowed {} times each; \
         went through: 0, failed: 0; faults: {:?}; memory was refused {} times, and took the daemon {}",
        RESTARTS,
        trials.texts,
        counts.iter().sum::<i64>(),
        daemon.status().faults,
        trials.refused,
        trials.taken,
    ));
    assert!(daemon.status().enforcing);
    assert_eq!(daemon.agents().len(), 1);
}
