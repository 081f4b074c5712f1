//! What must be so whatever happens: the forbidden never goes through, the allowed never fails, and
//! nobody inside takes the fence down. `PICKET_TIMES` makes the first of them so many times as long.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hyper::Method;
use sensor_user::api::types::{Canary, Reloaded};
use sensor_user::kernel::maps::Maps;
use serde_json::json;

use super::reads_public;
use crate::support::child::Child;
use crate::support::daemon::{Home, PICKET, eventually};
use crate::support::place::Place;
use crate::support::sys::files::{mkdir, touch, unlink};
use crate::support::sys::{EACCES, EPERM, Errno, Res, process};

/// Has several processes try the forbidden and the allowed in a tight loop while `meanwhile` goes on.
/// Each tells how often it tried; a single wrong outcome is a failure.
fn while_looping<T>(children: Vec<Child>, stop: &Path, meanwhile: impl FnOnce() -> T) -> T {
    let loops: Vec<_> = children
        .into_iter()
        .map(|mut child| std::thread::spawn(move || child.run(LOOP).unwrap()))
        .collect();
    let outcome = meanwhile();
    fs::write(stop, "").unwrap();
    let counts: Vec<i64> = loops.into_iter().map(|each| each.join().unwrap()).collect();
    eprintln!("each tried both so many times: {counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    outcome
}

/// The step of a looper that loops.
const LOOP: u32 = 7;

/// A process that tries both until the file `stop` is there.
fn looper(home: &Home, place: &Place, stop: &Path) -> Child {
    let (secret, public) = (place.file("secret"), place.file("public"));
    let stop = stop.to_owned();
    home.child(move |step| -> Res<i64> {
        if step != LOOP {
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

/// A small disk for the event log, which is soon full.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> SmallDisk {
        fs::create_dir_all(&at).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
        assert!(Command::new("mount").args(options).arg(&at).status().unwrap().success());
        SmallDisk(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn the_forbidden_never_goes_through_and_the_allowed_never_fails() {
    let times: usize =
        std::env::var("PICKET_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let place = Place::on_disk("daemon_proof");
    let home = Home::new("proof");
    let disk = SmallDisk::mount(place.at("log"));
    home.configure_with_log(&disk.0.join("events.jsonl"), "");
    // Two texts with the same rights, so that each reload puts another table in force.
    let text = |round: usize| {
        format!("{}\n  - allow: [read]\n    paths: ['/nowhere/{round}']", reads_public(&place))
    };
    home.policy("reader", &text(0));
    let mut daemon = home.start();
    let id = daemon.agent("reader");
    let stop = place.at("stop");
    let mut children: Vec<Child> = (0..4).map(|_| looper(&home, &place, &stop)).collect();
    for child in &mut children {
        assert_eq!(child.try_to(0), Ok(()), "before it is tagged");
        daemon.enter(id, child);
    }
    let lost = || {
        let slot: u32 = id.to_string().split('.').next().unwrap().parse().unwrap();
        Maps::pinned(home.pins()).unwrap().agent(slot).unwrap().lost
    };
    let daemon = while_looping(children, &stop, || {
        for round in 0..5 * times {
            if round % 2 == 0 {
                daemon.kill();
            } else {
                assert!(daemon.stop().success());
            }
            // Nobody reads.
            let before = lost();
            eventually("the ring is full", || (lost() > before).then_some(()));
            daemon = home.start();
            assert_eq!(daemon.status().arrival, "adopted");
            for reload in 0..20 {
                home.policy("reader", &text(round * 20 + reload + 1));
                let done: Reloaded = daemon.call(Method::POST, "/v1/reload", &json!({})).unwrap();
                assert!(done.problems.is_empty(), "{done:?}");
            }
        }
        eprintln!("faults: {:?}", daemon.status().faults);
        let sink = daemon.status().sinks.into_iter().find(|sink| sink.name == "file").unwrap();
        assert!(sink.missed > 0, "the disk was not full: {sink:?}");
        daemon
    });
    assert!(daemon.status().enforcing);
    assert_eq!(daemon.agents().len(), 1);
}

/// All that a policy can give.
const EVERYTHING: &str = "\
files:
  - allow: [read, write, list, create, delete, link, attr, exec, map]
    paths: ['/**']
network:
  - allow: [connect, send]
    to: ['unix:/**']
devices:
  - allow: ['/**']
process:
  - allow: [all]
capabilities:
  - allow: [all]";

/// Who is besieged.
struct Besieged {
    home: PathBuf,
    pins: PathBuf,
    daemon: i32,
}

/// Verbs of the program. The first four do no harm.
const VERBS: &[&[&str]] = &[
    &["status"],
    &["ps"],
    &["tail"],
    &["policy", "list"],
    &["doctor"],
    &["policy", "show", "everything"],
    &["policy", "remove", "everything"],
    &["policy", "load", "/etc/hostname"],
    &["run", "--policy", "everything", "--", "/bin/true"],
    &["run", "--alone", "--policy", "/run/picket/none.yaml", "--", "/bin/true"],
    &["attach", "--policy", "everything", "2"],
    &["uninstall", "--yes"],
    &["daemon"],
];

/// Something that would take the fence down, or lead to it.
type Attempt = (&'static str, fn(&Besieged) -> Res);

const ATTEMPTS: &[Attempt] = &[
    ("the socket", |b| connect(&b.home.join("control/picket.sock"))),
    ("the configuration", |b| touch(b.home.join("picket.toml"), libc::O_WRONLY)),
    ("reading the configuration", |b| touch(b.home.join("picket.toml"), 0)),
    ("a policy", |b| touch(b.home.join("policies/everything.yaml"), libc::O_WRONLY)),
    ("removing a policy", |b| unlink(b.home.join("policies/everything.yaml"))),
    ("the log", |b| touch(b.home.join("log/events.jsonl"), libc::O_WRONLY)),
    ("removing the log", |b| unlink(b.home.join("log/events.jsonl"))),
    ("removing the socket", |b| unlink(b.home.join("control/picket.sock"))),
    ("removing a pin", |b| unlink(b.pins.join("TAGS"))),
    ("looking at pins", |b| touch(&b.pins, libc::O_DIRECTORY)),
    ("making a directory of pins", |b| mkdir(b.pins.join("new"))),
    ("making a map", |_| process::make_map()),
    ("removing the program", |_| unlink(PICKET)),
    ("the unit", |_| touch("/etc/systemd/system/picket.service", libc::O_WRONLY | libc::O_CREAT)),
    ("SIGKILL", |b| process::kill(b.daemon, libc::SIGKILL)),
    ("SIGSTOP", |b| process::kill(b.daemon, libc::SIGSTOP)),
    ("SIGHUP", |b| process::kill(b.daemon, libc::SIGHUP)),
    ("tracing the daemon", |b| process::seize(b.daemon)),
    ("the daemon's descriptors", |b| {
        process::pidfd(b.daemon).and_then(|daemon| process::pidfd_getfd(&daemon, 3))
    }),
    ("the daemon's memory", |b| touch(format!("/proc/{}/mem", b.daemon), libc::O_RDWR)),
    ("the daemon's limits", |b| process::keep_limit(b.daemon)),
    ("the machine's memory", |_| touch("/proc/kcore", 0)),
];

fn connect(socket: &Path) -> Res {
    let connected = UnixStream::connect(socket);
    connected.map(drop).map_err(|error| Errno(error.raw_os_error().unwrap_or(-1)))
}

#[test]
fn an_agent_that_is_root_and_has_all_that_a_policy_gives_takes_nothing_down() {
    let home = Home::new("siege");
    home.policy("everything", EVERYTHING);
    let daemon = home.start();
    let id = daemon.agent("everything");
    let root = home.config().parent().unwrap().to_owned();
    let (socket, config) = (home.socket(), home.config());
    let besieged = Besieged { home: root, pins: home.pins().to_owned(), daemon: daemon.pid() };
    let mut inside = home.child(move |step| -> Res {
        let step = step as usize;
        let Some(verb) = VERBS.get(step) else {
            return ATTEMPTS[step - VERBS.len()].1(&besieged);
        };
        let mut command = Command::new(PICKET);
        command.args(*verb).env("PICKET_SOCKET", &socket);
        if ["uninstall", "daemon"].contains(&verb[0]) {
            command.arg("--config").arg(&config);
        }
        let output = command.stdin(Stdio::null()).output();
        if output.is_ok_and(|output| output.status.success()) { Ok(()) } else { Err(EPERM) }
    });
    // A control: what does no harm works before.
    for step in 0..4 {
        assert_eq!(inside.try_to(step), Ok(()), "{:?} before", VERBS[step as usize]);
    }
    assert_eq!(inside.try_to(VERBS.len() as u32), Ok(()), "the socket before");
    daemon.enter(id, &inside);
    for (step, verb) in (0..).zip(VERBS) {
        assert!(inside.try_to(step).is_err(), "{verb:?} worked");
    }
    for (step, (what, _)) in (VERBS.len() as u32..).zip(ATTEMPTS) {
        let outcome = inside.try_to(step);
        assert!([Err(EACCES), Err(EPERM)].contains(&outcome), "{what}: {outcome:?}");
    }
    assert!(daemon.status().enforcing);
    assert_eq!(daemon.agents().len(), 1);
    assert!(home.policies().join("everything.yaml").exists() && home.log().exists());
    assert!(Path::new(PICKET).exists());
    let canary: Canary = daemon.call(Method::POST, "/v1/canary", &json!({})).unwrap();
    assert!(canary.probes.iter().all(|probe| probe.refused), "{canary:?}");
}
