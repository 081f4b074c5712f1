//! A kernel side that outlives its loader: adopted, upgraded and refused, with an agent inside that
//! never gets out meanwhile.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use sensor_user::engine::{Engine, Identity};
use sensor_user::event::Event;
use sensor_user::kernel::adopt::Arrival;
use sensor_user::kernel::load::{KernelError, Tags};
use sensor_user::kernel::record::RecordMap;
use sensor_user::kernel::{pins, record};

use crate::support::child::Child;
use crate::support::fence::policy;
use crate::support::place::Place;
use crate::support::sys::files::touch;
use crate::support::sys::{EACCES, Res};

const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/public']";

/// Pins and state of one test, gone when it is over.
pub struct Home {
    pins: PathBuf,
    state: PathBuf,
}

impl Home {
    pub fn new(name: &str) -> Home {
        let pins = Path::new(pins::ROOT).join(format!("test-{name}"));
        let state = Path::new("/run").join(format!("picket-test-{name}"));
        let home = Home { pins, state };
        home.clean();
        home
    }

    pub fn clean(&self) {
        let _ = fs::remove_dir_all(&self.pins);
        let _ = fs::remove_dir_all(&self.state);
    }

    fn open(&self) -> (Engine, Arrival) {
        Engine::host(&self.pins, &self.state).unwrap_or_else(|error| panic!("{error}"))
    }

    fn record(&self) -> RecordMap {
        RecordMap::open(&self.pins.join(record::NAME)).unwrap().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.clean();
    }
}

/// A process that tries a forbidden file (step 0), an allowed one (1).
fn child(place: &Place, tags: &Tags) -> Child {
    let (secret, public) = (place.file("secret"), place.file("public"));
    Child::new(tags, move |step| -> Res { touch(if step == 0 { &secret } else { &public }, 0) })
}

/// Reads what is in the ring.
fn events(engine: &mut Engine) -> Vec<Event> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let mut stream = engine.stream().unwrap();
    std::iter::from_fn(|| stream.next_event()).map(Result::unwrap).collect()
}

fn agent(engine: &mut Engine, place: &Place, name: &str) -> sensor_ebpf::tag::Tag {
    let policy = policy(place.path(), POLICY, false);
    let who = Identity { name: name.to_owned(), ..Identity::default() };
    engine.add_agent(who, &policy).unwrap()
}

#[test]
fn agents_stay_confined_when_their_loader_is_gone_and_the_next_one_knows_them() {
    let place = Place::on_disk("adopt_known");
    let home = Home::new("known");
    let (mut engine, arrival) = home.open();
    assert_eq!(arrival, Arrival::Made);
    let tag = agent(&mut engine, &place, "left-behind");
    let mut inside = child(&place, &engine.tags().unwrap());
    assert_eq!(inside.try_to(0), Ok(()), "before it is tagged");
    inside.tag(tag);
    drop(engine);
    assert_eq!(inside.try_to(0), Err(EACCES), "with nobody there");
    assert_eq!(inside.try_to(1), Ok(()), "with nobody there");

    let (mut engine, arrival) = home.open();
    assert_eq!(arrival, Arrival::Adopted);
    assert!(engine.as_host().unwrap().armed().iter().all(|(_, armed)| *armed));
    assert_eq!(engine.agent(tag).unwrap().name, "left-behind");
    assert_eq!(inside.try_to(0), Err(EACCES), "with the next one there");
    let seen = events(&mut engine);
    let numbers: Vec<u64> = seen.iter().map(|event| event.header.seq).collect();
    assert_eq!(numbers, [0, 1], "one from between the two");
    let context = engine.context(&seen[0]).unwrap();
    assert_eq!((context.agent, context.policy), ("left-behind", "test"));
    assert!(!context.version.is_empty());
    // Another agent of the next one is not the first.
    let other = agent(&mut engine, &place, "new");
    assert_ne!(other.agent, tag.agent);
    assert_eq!(engine.policies().count(), 1, "both are under one table");
}

#[test]
fn another_build_takes_over_without_letting_go() {
    let place = Place::on_disk("adopt_upgrade");
    let home = Home::new("upgrade");
    let (mut engine, _) = home.open();
    let tag = agent(&mut engine, &place, "upgraded");
    let mut inside = child(&place, &engine.tags().unwrap());
    inside.tag(tag);
    drop(engine);
    for round in 0..3 {
        // What is in force is of another build from here on.
        let map = home.record();
        let mut record = map.read().unwrap().unwrap();
        record.object[0] ^= 1;
        record.set_version("0.0.7");
        map.write(&record).unwrap();
        let before = record.generation;
        let (mut engine, arrival) = home.open();
        assert_eq!(arrival, Arrival::Upgraded { from: "0.0.7".to_owned() });
        assert_eq!(pins::generations(&home.pins).unwrap(), [before + 1]);
        assert_eq!(inside.try_to(0), Err(EACCES));
        assert_eq!(inside.try_to(1), Ok(()));
        assert_eq!(events(&mut engine).len(), 1, "in round {round}: one set judges");
        assert_eq!(inside.tag_of(&engine.tags().unwrap()), Some(tag));
    }
}

#[test]
fn a_foreign_interface_is_refused_and_stays_in_force() {
    let place = Place::on_disk("adopt_foreign");
    let home = Home::new("foreign");
    let (mut engine, _) = home.open();
    let tag = agent(&mut engine, &place, "kept");
    let mut inside = child(&place, &engine.tags().unwrap());
    inside.tag(tag);
    drop(engine);
    let map = home.record();
    let mut record = map.read().unwrap().unwrap();
    record.abi += 1;
    record.set_version("9.9.9");
    map.write(&record).unwrap();
    let error = Engine::host(&home.pins, &home.state).err().unwrap().to_string();
    assert!(error.contains("9.9.9") && error.contains("uninstall"), "{error}");
    assert_eq!(inside.try_to(0), Err(EACCES));
    assert_eq!(inside.try_to(1), Ok(()));
}

#[test]
fn pins_that_are_not_ours_are_left_alone() {
    let home = Home::new("strange");
    let (engine, _) = home.open();
    drop(engine);
    fs::remove_file(home.pins.join(record::NAME)).unwrap();
    let error = Engine::host(&home.pins, &home.state).err().unwrap();
    let sensor_user::engine::EngineError::Kernel(KernelError::Strange { .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(pins::generations(&home.pins).unwrap(), [1]);
}

#[test]
fn an_upgrade_that_was_cut_short_is_done_again() {
    let place = Place::on_disk("adopt_short");
    let home = Home::new("short");
    let (mut engine, _) = home.open();
    let tag = agent(&mut engine, &place, "steady");
    let mut inside = child(&place, &engine.tags().unwrap());
    inside.tag(tag);
    drop(engine);
    // A set in the making, and one that was whole before the record said so.
    fs::create_dir(home.pins.join("links-2-new")).unwrap();
    fs::create_dir(home.pins.join("links-3")).unwrap();
    let (engine, arrival) = home.open();
    assert_eq!(arrival, Arrival::Adopted);
    assert_eq!(pins::generations(&home.pins).unwrap(), [1]);
    drop(engine);
    // A set in force of which one link is gone is no set: another takes its place.
    fs::remove_file(home.pins.join("links-1/file_open")).unwrap();
    let (engine, arrival) = home.open();
    assert!(matches!(arrival, Arrival::Upgraded { .. }));
    assert_eq!(inside.try_to(0), Err(EACCES));
    assert!(engine.as_host().unwrap().armed().iter().all(|(_, armed)| *armed));
}

#[test]
fn a_policy_changes_under_running_agents_and_slots_are_shared() {
    let place = Place::on_disk("adopt_switch");
    let home = Home::new("switch");
    let (mut engine, _) = home.open();
    let tags: Vec<_> = (0..5).map(|n| agent(&mut engine, &place, &format!("a{n}"))).collect();
    let map = engine.tags().unwrap();
    let mut inside: Vec<Child> = tags
        .iter()
        .map(|tag| {
            let mut child = child(&place, &map);
            child.tag(*tag);
            child
        })
        .collect();
    assert_eq!(engine.policies().map(|(_, users)| users).collect::<Vec<_>>(), [5]);
    let open =
        policy(place.path(), "files:\n  - allow: [read, write]\n    paths: ['${dir}/**']", false);
    let open = std::sync::Arc::new(open);
    // Two of five: the slot of the others stays as it is.
    let some: Vec<_> = tags[..2].iter().map(|tag| (*tag, open.clone())).collect();
    engine.switch(&some).unwrap();
    for (number, child) in inside.iter_mut().enumerate() {
        assert_eq!(child.try_to(0), if number < 2 { Ok(()) } else { Err(EACCES) }, "{number}");
        assert_eq!(child.try_to(1), Ok(()), "{number}");
    }
    let mut users: Vec<_> = engine.policies().map(|(_, users)| users).collect();
    users.sort_unstable();
    assert_eq!(users, [2, 3]);
    // The rest follows, and their slot is free.
    let rest: Vec<_> = tags[2..].iter().map(|tag| (*tag, open.clone())).collect();
    engine.switch(&rest).unwrap();
    assert!(inside.iter_mut().all(|child| child.try_to(0) == Ok(())));
    assert_eq!(engine.policies().map(|(_, users)| users).collect::<Vec<_>>(), [5]);
    // Back, in place, and the next engine sees the same.
    let closed = std::sync::Arc::new(policy(place.path(), POLICY, false));
    let all: Vec<_> = tags.iter().map(|tag| (*tag, closed.clone())).collect();
    engine.switch(&all).unwrap();
    drop(engine);
    let (mut engine, _) = home.open();
    assert!(inside.iter_mut().all(|child| child.try_to(0) == Err(EACCES)));
    assert_eq!(engine.policies().map(|(_, users)| users).collect::<Vec<_>>(), [5]);
    // An agent that is taken away and still has a process: refused everything.
    engine.remove(tags[0]).unwrap();
    assert_eq!(inside[0].try_to(1), Err(EACCES));
    assert_eq!(inside[1].try_to(1), Ok(()));
    let process = crate::support::sys::process::pidfd(inside[0].pid()).unwrap();
    assert_eq!(map.of(process.as_fd()).unwrap(), Some(tags[0]));
}
