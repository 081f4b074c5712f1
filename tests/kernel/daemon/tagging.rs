//! The configuration's rules for tagging.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{SECRET, reader};
use crate::support::daemon::{Daemon, Home, eventually};
use crate::support::place::{Place, program};
use crate::support::sys::EACCES;

/// Everything may be read and run, but for the secret.
fn spec(place: &Place) -> String {
    format!(
        "files:\n  - allow: [read, list]\n    paths: ['/**']\n  - allow: [write]\n    \
         paths: ['/dev/null']\n  - deny: [read]\n    paths: ['{}/secret']\nexec:\n  - allow: ['/**']",
        place.path().display()
    )
}

/// Whether a program can print a file.
fn prints(program: &Path, file: &Path) -> bool {
    let mut command = Command::new(program);
    let output = command.arg(file).stderr(Stdio::null()).output().unwrap();
    output.status.success() && output.stdout == b"secret"
}

#[test]
fn whoever_runs_a_program_of_a_rule_is_confined_from_its_first_instruction() {
    let place = Place::on_disk("daemon_exec_rule");
    let secret = place.file("secret");
    let cat = fs::read("/usr/bin/cat").unwrap();
    let tool = program(place.path(), "tool", &cat);
    let linked = program(place.path(), "behind-a-link", &cat);
    let link = place.at("link");
    symlink(&linked, &link).unwrap();
    let script = program(place.path(), "script", b"#!/bin/sh\ncat \"$1\"\n");
    // A program of the same name that no rule names.
    let other = program(&place.dir("elsewhere"), "tool", &cat);
    let rules: String = [&tool, &link, &script]
        .map(|path| format!("[[tag]]\nexec = {path:?}\npolicy = \"rule\"\n"))
        .concat();
    let home = Home::new("exec-rule");
    home.policy("rule", &spec(&place));
    home.configure(&rules);
    let daemon = home.start();
    assert_eq!(daemon.status().troubles, []);
    assert_eq!(daemon.agents().len(), 3, "{:?}", daemon.agents());
    let check = |when: &str| {
        for confined in [&tool, &link, &linked, &script] {
            assert!(!prints(confined, &secret), "{} {when}", confined.display());
        }
        for free in [&other, Path::new("/usr/bin/cat")] {
            assert!(prints(free, &secret), "{} {when}", free.display());
        }
    };
    check("with a daemon");
    let file = &secret;
    eventually("the refusals are in the log", || {
        let own = |record: &serde_json::Value| {
            record["type"] == "violation" && record["subject"] == file.to_str().unwrap()
        };
        (home.records().iter().filter(|record| own(record)).count() >= 3).then_some(())
    });
    daemon.kill();
    check("with nobody there");
    let daemon = home.start();
    assert_eq!(daemon.agents().len(), 3, "the same agents as before");
    check("with the next one there");
    let removed = format!("/v1/agents/{}", daemon.agents()[0].id);
    assert!(daemon.act(hyper::Method::DELETE, &removed, None::<&()>).is_err());
    // A policy with a mistake in it leaves the rules as they were.
    home.policy("rule", &spec(&place).replace("deny", "dney"));
    daemon.signal(libc::SIGHUP);
    eventually("the mistake is noticed", || (!daemon.status().problems.is_empty()).then_some(()));
    check("under what was right before");
    home.policy("rule", &spec(&place));
    // The link leads elsewhere from now on, and the script is nobody's business any more.
    fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    let rules: String = [&tool, &link]
        .map(|path| format!("[[tag]]\nexec = {path:?}\npolicy = \"rule\"\n"))
        .concat();
    home.configure(&rules);
    daemon.signal(libc::SIGHUP);
    eventually("the rules are others", || (!prints(&other, &secret)).then_some(()));
    assert!(!prints(&tool, &secret));
    eventually("the script is free", || prints(&script, &secret).then_some(()));
    assert!(prints(&linked, &secret));
    home.configure("");
    daemon.signal(libc::SIGHUP);
    eventually("no rule is left", || prints(&tool, &secret).then_some(()));
    no_agent(&daemon);
}

fn no_agent(daemon: &Daemon) {
    eventually("their agents are gone", || daemon.agents().is_empty().then_some(()));
}

#[test]
fn whoever_is_in_a_cgroup_of_a_rule_is_confined() {
    let place = Place::on_disk("daemon_cgroup_rule");
    let secret = place.file("secret");
    let group = Path::new("/sys/fs/cgroup/picket-test.slice");
    let below = group.join("agent.service");
    let remove = || {
        let _ = fs::remove_dir(&below);
        let _ = fs::remove_dir(group);
    };
    remove();
    fs::create_dir_all(&below).unwrap();
    let home = Home::new("cgroup-rule");
    home.policy("rule", &spec(&place));
    let daemon = home.start();
    let mut member = reader(&home, &place);
    fs::write(below.join("cgroup.procs"), member.pid().to_string()).unwrap();
    assert_eq!(member.try_to(SECRET), Ok(()), "before there is a rule");
    home.configure("[[tag]]\nunit = \"picket-test.slice\"\npolicy = \"rule\"\n");
    daemon.signal(libc::SIGHUP);
    eventually("who was in it already is taken in", || {
        daemon.agents().iter().any(|agent| !agent.processes.is_empty()).then_some(())
    });
    assert_eq!(member.try_to(SECRET), Err(EACCES));
    let moved = |to: &Path, then: &str| {
        let script = format!("echo $$ >{}/cgroup.procs; {then}", to.display());
        let mut command = Command::new("/bin/sh");
        let output = command.args(["-c", &script]).stderr(Stdio::null()).output().unwrap();
        output.stdout == b"secret"
    };
    let check = |confined: bool, when: &str| {
        let secret = secret.display();
        for to in [group, &below] {
            let runs = moved(to, &format!("exec cat {secret}"));
            assert_eq!(runs, !confined, "runs a program {when}");
            let forks = moved(to, &format!("(read -r line <{secret}; printf %s \"$line\"); true"));
            assert_eq!(forks, !confined, "forks {when}");
        }
        assert!(moved(Path::new("/sys/fs/cgroup"), &format!("exec cat {secret}")), "{when}");
    };
    check(true, "with a daemon");
    daemon.kill();
    check(true, "with nobody there");
    let daemon = home.start();
    check(true, "with the next one there");
    home.configure("");
    daemon.signal(libc::SIGHUP);
    eventually("the rule is gone", || {
        moved(group, &format!("exec cat {}", secret.display())).then_some(())
    });
    check(false, "without a rule");
    assert_eq!(member.try_to(SECRET), Err(EACCES), "who is in stays in");
    drop(member);
    no_agent(&daemon);
    remove();
}
