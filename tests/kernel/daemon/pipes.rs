//! Pipes that nobody reads any more: a verb ends as if SIGPIPE had ended it, and a daemon goes on.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use hyper::Method;
use sensor_user::api::types::Reloaded;
use serde_json::json;

use super::{SECRET, reader, reads_public};
use crate::support::daemon::{Home, eventually, manifest};
use crate::support::place::Place;
use crate::support::sys::EACCES;

/// What a shell says of a program that SIGPIPE ended.
const CLOSED: Option<i32> = Some(141);

#[test]
fn verbs_end_quietly_where_nobody_reads_and_the_daemon_goes_on() {
    let place = Place::on_disk("daemon_pipes");
    let home = Home::new("pipes");
    home.configure("sinks.stdout.enabled = true");
    home.policy("reader", &reads_public(&place));
    let daemon = home.start_unheard();
    let mut child = reader(&home, &place);
    let id = daemon.agent("reader");
    daemon.enter(id, &child);
    assert_eq!(child.try_to(SECRET), Err(EACCES));
    let missed =
        || daemon.status().sinks.iter().any(|sink| sink.name == "stdout" && sink.trouble.is_some());
    eventually("its standard output was tried", || missed().then_some(()));
    // Of a mistake it complains on standard error.
    home.policy("wrong", "files:\n  - allow: [raed]\n    paths: ['/x']");
    let done: Reloaded = daemon.call(Method::POST, "/v1/reload", &json!({})).unwrap();
    assert_eq!(done.problems.len(), 1, "{done:?}");
    daemon.signal(libc::SIGHUP);
    let loaded = || home.notices().iter().filter(|what| *what == "policies loaded").count();
    let before = loaded();
    daemon.signal(libc::SIGHUP);
    eventually("it was told and complained", || (loaded() > before).then_some(()));
    assert!(daemon.status().enforcing);

    let file = place.at("p.yaml");
    std::fs::write(&file, manifest("other", &reads_public(&place))).unwrap();
    let file = file.to_str().unwrap().to_owned();
    for arguments in [
        &["ps"][..],
        &["ps", "--json"],
        &["status"],
        &["status", "--json"],
        &["tail"],
        &["tail", "--json"],
        &["policy", "list"],
        &["policy", "list", "--json"],
        &["policy", "show", "reader"],
        &["policy", "load", &file],
    ] {
        let heard = home.verb(arguments).output().unwrap();
        let (_, out) = std::io::pipe().unwrap();
        let unheard = home.verb(arguments).stdout(out).stderr(Stdio::piped()).output().unwrap();
        // Verbs that print nothing end as always.
        let expected = if heard.stdout.is_empty() { heard.status.code() } else { CLOSED };
        let said = String::from_utf8_lossy(&unheard.stderr);
        assert_eq!(unheard.status.code(), expected, "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        let (_, err) = std::io::pipe().unwrap();
        let mut silent = home.verb(arguments);
        let code = silent.stderr(err).stdout(Stdio::null()).status().unwrap().code();
        assert_eq!(code, heard.status.code(), "{arguments:?} where nobody reads errors");
    }
    assert!(daemon.status().enforcing);
    assert_eq!(child.try_to(SECRET), Err(EACCES), "nothing took the fence off");
}

#[test]
fn what_follows_ends_when_its_reader_has_gone_and_a_command_as_without_picket() {
    let place = Place::on_disk("daemon_pipes_follow");
    let home = Home::new("pipes-follow");
    home.policy(
        "all",
        "files:\n  - allow: [read, list]\n    paths: ['/**']\nexec:\n  - allow: ['/**']",
    );
    let daemon = home.start();
    let mut tail = home.verb(&["tail", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap());
    assert!(lines.read_line(&mut String::new()).unwrap() > 0);
    drop(lines);
    // There need be no other line for it to notice.
    let ended = eventually("tail ends", || tail.try_wait().unwrap());
    assert_eq!(ended.code(), CLOSED);

    let command = ["run", "--policy", "all", "--", "/bin/sh", "-c", "while echo x; do :; done"];
    let mut run =
        home.verb(&command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap());
    assert!(lines.read_line(&mut String::new()).unwrap() > 0);
    drop(lines);
    let ended = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), CLOSED, "{said}");
    assert!(!said.contains("panicked") && said.contains("picket: 0 refused"), "{said}");
    assert!(daemon.agents().is_empty());
    drop(place);
}
