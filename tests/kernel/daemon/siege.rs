//! An agent that is root besieges the fence from inside: verbs, files, signals, the socket.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hyper::Method;
use sensor_user::api::types::Canary;
use serde_json::json;

use crate::support::daemon::{Home, PICKET};
use crate::support::sys::files::{mkdir, touch, unlink};
use crate::support::sys::{EACCES, EPERM, Errno, Res, process};

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
