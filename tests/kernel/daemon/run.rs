//! `picket run` where a daemon runs.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{PUBLIC, SECRET, reader};
use crate::support::daemon::{Home, PICKET, eventually, manifest};
use crate::support::place::Place;
use crate::support::sys::{EACCES, EPERM, process};

/// Somebody who is not root.
const NOBODY: u32 = 65534;

/// Under which everything may be read but one file, and every program be run but one.
fn spec(place: &Place) -> String {
    let dir = place.path().display();
    format!(
        "files:\n  - allow: [read, list]\n    paths: ['/**']\n  - allow: [write]\n    \
         paths: ['/dev/null', '{dir}/out']\n  - deny: [read]\n    paths: ['{dir}/secret']\n    \
         reason: private\nexec:\n  - allow: ['/**']\n  - deny: ['/usr/bin/id']"
    )
}

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        Outcome { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// `picket` as a user.
fn picket(home: &Home, user: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new(PICKET);
    command.args(arguments).env("PICKET_SOCKET", home.socket()).env_remove("SUDO_UID");
    command.uid(user).gid(user).current_dir("/").stdin(Stdio::null());
    command
}

fn run(home: &Home, user: u32, arguments: &[&str]) -> Outcome {
    picket(home, user, &[&["run"], arguments].concat()).output().unwrap().into()
}

fn read_both(place: &Place) -> String {
    let (public, secret) = (place.at("public"), place.at("secret"));
    format!("cat {}; cat {}; exit 7", public.display(), secret.display())
}

#[test]
fn anybody_runs_a_command_under_what_the_administrator_offers() {
    let place = Place::on_disk("daemon_run");
    let (secret, _) = (place.file("secret"), place.file("public"));
    let home = Home::new("run");
    home.configure("policies.offered = [\"offered\"]");
    home.policy("offered", &spec(&place));
    home.policy("kept", &spec(&place));
    let daemon = home.start();
    let script = read_both(&place);
    for user in [0, NOBODY] {
        let shell = ["--policy", "offered", "--", "/bin/sh", "-c", &script];
        let Outcome { code, stdout, stderr } = run(&home, user, &shell);
        assert_eq!((code, stdout.as_str()), (7, "public"), "{user}: {stderr}");
        let refused = format!("deny read {}", secret.display());
        assert!(stderr.contains(&refused) && stderr.contains("private"), "{user}: {stderr}");
        assert!(stderr.contains("picket: 1 refused"), "{user}: {stderr}");
        assert!(daemon.agents().is_empty(), "{user}");
        // The shell's own codes.
        let none = run(&home, user, &["--policy", "offered", "--", "/nowhere/at-all"]);
        assert_eq!(none.code, 127, "{user}: {}", none.stderr);
        let id = run(&home, user, &["--policy", "offered", "--", "/usr/bin/id"]);
        assert_eq!(id.code, 126, "{user}: {}", id.stderr);
        assert!(id.stderr.contains("deny exec /usr/bin/id"), "{user}: {}", id.stderr);
        let killed = run(&home, user, &["-q", "-p", "offered", "--", "/bin/sh", "-c", "kill $$"]);
        assert_eq!(killed.code, 128 + 15, "{user}: {}", killed.stderr);
        assert!(!killed.stderr.contains("refused"), "{user}: {}", killed.stderr);
    }
    // What only root may.
    let file = place.at("own.yaml");
    fs::write(&file, manifest("own", &spec(&place))).unwrap();
    let file = file.to_str().unwrap();
    let shell = |more: &[&str], user| {
        let words = [more, &["--", "/bin/sh", "-c", &script]].concat();
        run(&home, user, &words)
    };
    for (arguments, why) in [
        (&["--policy", "kept"][..], "does not offer"),
        (&["--policy", "no-such"], "does not offer"),
        (&["--policy", file], "only root may bring a policy"),
        (&["--policy", "offered", "--audit"], "only root may start an agent that is only audited"),
        (&["--policy", file, "--alone"], "privileges"),
    ] {
        let refused = shell(arguments, NOBODY);
        assert_eq!((refused.code, refused.stdout.as_str()), (125, ""), "{arguments:?}");
        assert!(refused.stderr.contains(why), "{arguments:?}: {}", refused.stderr);
    }
    let own = shell(&["--policy", file], 0);
    assert_eq!((own.code, own.stdout.as_str()), (7, "public"), "{}", own.stderr);
    assert!(own.stderr.contains(&format!("{file}:")), "{}", own.stderr);
    let log = place.at("log");
    let audited = ["--policy", "kept", "--audit", "--log", log.to_str().unwrap()];
    let audited = shell(&audited, 0);
    assert_eq!((audited.code, audited.stdout.as_str()), (7, "publicsecret"), "{}", audited.stderr);
    assert!(audited.stderr.contains("1 reported"), "{}", audited.stderr);
    let line: serde_json::Value =
        serde_json::from_str(fs::read_to_string(log).unwrap().trim()).unwrap();
    assert_eq!(line["subject"], secret.to_str().unwrap());
    fs::write(file, manifest("own", "files:\n  - allow: [raed]\n    paths: ['/**']")).unwrap();
    let wrong = shell(&["--policy", file], 0);
    assert_eq!(wrong.code, 125);
    assert!(wrong.stderr.contains(&format!("{file}:7")), "{}", wrong.stderr);
    let gone = shell(&["--policy", "no-such"], 0);
    assert!(gone.code == 125 && gone.stderr.contains("no policy"), "{}", gone.stderr);
    assert!(daemon.agents().is_empty());
}

#[test]
fn what_a_command_leaves_is_ended_also_where_it_has_become_root() {
    let place = Place::on_disk("daemon_leaves");
    let home = Home::new("leaves");
    home.configure("policies.offered = [\"offered\"]");
    home.policy("offered", "files:\n  - allow: [read, list]\n    paths: ['/**']\n  - allow: [write]\n    paths: ['/dev/null']\nexec:\n  - allow: ['/**']");
    let daemon = home.start();
    // A program that makes root of whoever runs it.
    let sleeper = place.at("sleeper");
    fs::copy("/usr/bin/sleep", &sleeper).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    fs::set_permissions(&sleeper, mode).unwrap();
    for (program, effective) in [(sleeper.as_path(), 0), (Path::new("/usr/bin/sleep"), NOBODY)] {
        let program = program.display();
        // Until it has become that, or for a while.
        let script = format!(
            "{program} 1000 </dev/null >/dev/null 2>&1 & for i in $(seq 100); do \
             grep -q sleep /proc/$!/comm && break; sleep 0.1; done; grep ^Uid: /proc/$!/status; echo $!"
        );
        let left = run(&home, NOBODY, &["-p", "offered", "--", "/bin/sh", "-c", &script]);
        assert_eq!(left.code, 0, "{}", left.stderr);
        let (uids, pid) = left.stdout.trim().split_once('\n').unwrap();
        assert!(uids.starts_with(&format!("Uid:\t{NOBODY}\t{effective}\t")), "{uids}");
        let pid: i32 = pid.parse().unwrap();
        assert!(process::kill(pid, 0).is_err(), "{program} still runs: {}", left.stderr);
        assert!(left.stderr.contains("left behind and ended"), "{program}: {}", left.stderr);
    }
    assert!(daemon.agents().is_empty());
}

#[test]
fn a_command_stays_confined_when_its_daemon_dies_and_is_shown_again_when_one_is_back() {
    let place = Place::on_disk("daemon_gone");
    let (secret, _) = (place.file("secret"), place.file("public"));
    let (out, _) = (place.file("out"), fs::remove_file(place.at("go")));
    let home = Home::new("gone");
    home.policy("kept", &spec(&place));
    let daemon = home.start();
    let (secret, public) = (secret.display(), place.at("public").display().to_string());
    let script = format!(
        "echo ready >{out}; until test -e {go}; do sleep 0.1; done; cat {secret} && exit 3; cat \
         {public} || exit 4; until test -e {end}; do sleep 0.1; done; cat {secret}; exit 9",
        out = out.display(),
        go = place.at("go").display(),
        end = place.at("end").display(),
    );
    let mut command = picket(&home, 0, &["run", "-p", "kept", "--", "/bin/sh", "-c", &script]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the command runs", || {
        fs::read_to_string(&out).is_ok_and(|text| text == "ready\n").then_some(())
    });
    daemon.kill();
    place.file("go");
    // It tries, with no daemon there.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let daemon = home.start();
    assert_eq!(daemon.agents().len(), 1);
    std::thread::sleep(std::time::Duration::from_secs(2));
    place.file("end");
    let Outcome { code, stdout, stderr } = running.wait_with_output().unwrap().into();
    assert_eq!((code, stdout.as_str()), (9, "public"), "{stderr}");
    assert!(stderr.contains("the daemon is gone; the command stays confined"), "{stderr}");
    assert!(stderr.contains("a daemon is there again"), "{stderr}");
    assert_eq!(stderr.matches(&format!("deny read {secret}")).count(), 2, "{stderr}");
    assert!(stderr.contains("picket: 2 refused"), "{stderr}");
    assert!(daemon.agents().is_empty());
}

#[test]
fn without_the_daemon_that_was_named_nothing_is_run() {
    let home = Home::new("absent");
    for user in [0, NOBODY] {
        let none = run(&home, user, &["-p", "kept", "--", "/bin/true"]);
        assert_eq!(none.code, 125);
        assert!(none.stderr.contains("no daemon answers at"), "{}", none.stderr);
    }
    let unnamed = |user, policy: &str| -> Outcome {
        let mut command = picket(&home, user, &["run", "-p", policy, "--", "/bin/true"]);
        command.env_remove("PICKET_SOCKET").output().unwrap().into()
    };
    for (user, policy, why) in
        [(0, "kept", "file"), (NOBODY, "/kept.yaml", "only root can confine")]
    {
        let none = unnamed(user, policy);
        assert!(none.code == 125 && none.stderr.contains(why), "{}", none.stderr);
    }
}

#[test]
fn an_agent_cannot_ask_the_daemon_for_anything() {
    let place = Place::on_disk("daemon_inside");
    let home = Home::new("inside");
    home.policy("reader", &super::reads_public(&place));
    let daemon = home.start();
    let id = daemon.agent("reader");
    let (socket, secret, public) = (home.socket(), place.file("secret"), place.file("public"));
    let mut inside = home.child(move |step| -> crate::support::sys::Res {
        match step {
            2 => crate::support::sys::files::touch(&secret, 0),
            3 => crate::support::sys::files::touch(&public, 0),
            _ => std::os::unix::net::UnixStream::connect(&socket)
                .map(drop)
                .map_err(|error| crate::support::sys::Errno(error.raw_os_error().unwrap_or(-1))),
        }
    });
    assert_eq!(inside.try_to(0), Ok(()), "before it is tagged");
    daemon.enter(id, &inside);
    assert_eq!(inside.try_to(0), Err(EACCES));
    // Nor can it be put under another, or end who watches.
    let other = daemon.agent("reader");
    let body = serde_json::json!({ "pid": inside.pid() });
    let path = format!("/v1/agents/{other}/processes");
    let error = daemon.act(hyper::Method::POST, &path, Some(&body)).unwrap_err().to_string();
    assert!(error.contains(&format!("is of agent {id} already")), "{error}");
    let pid = daemon.pid();
    let mut killer = home.child(move |_| process::kill(pid, libc::SIGURG));
    assert_eq!(killer.try_to(0), Ok(()), "before it is tagged");
    daemon.enter(id, &killer);
    assert_eq!(killer.try_to(0), Err(EPERM));
    let mut outside = reader(&home, &place);
    assert_eq!((outside.try_to(SECRET), outside.try_to(PUBLIC)), (Ok(()), Ok(())));
}
