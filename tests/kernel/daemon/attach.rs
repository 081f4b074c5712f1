//! `picket attach`: processes that run already.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use sensor_ebpf::hook::Hook;
use sensor_user::api::types::Attached;

use super::adversity::other_build;
use super::{PUBLIC, SECRET, reader, reads_public};
use crate::support::daemon::{Home, PICKET, eventually};
use crate::support::place::Place;
use crate::support::sys::files::{open, read_next, touch};
use crate::support::sys::{EACCES, Res, process};

/// What `picket attach` answers.
#[track_caller]
fn attach(home: &Home, arguments: &[&str]) -> Attached {
    let output = home.picket(&[&["attach", "--json"], arguments].concat());
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A thread that tries what it is told.
struct Worker(Sender<u32>, Receiver<Res>);

impl Worker {
    fn start(mut body: impl FnMut(u32) -> Res + Send + 'static) -> Worker {
        let ((orders, taken), (answers, given)) = (channel(), channel());
        std::thread::spawn(move || {
            taken.iter().for_each(|step| answers.send(body(step)).unwrap());
        });
        Worker(orders, given)
    }

    fn run(&self, step: u32) -> Res {
        self.0.send(step).unwrap();
        self.1.recv().unwrap()
    }
}

#[test]
fn a_tree_is_taken_in_with_all_its_threads_and_what_they_make() {
    let place = Place::on_disk("daemon_attach");
    let home = Home::new("attach");
    home.policy("reader", &reads_public(&place));
    let daemon = home.start();
    let (secret, public) = (place.file("secret"), place.file("public"));
    let touching = move |step| touch(if step == SECRET { &secret } else { &public }, 0);
    let (in_thread, in_fork) = (touching.clone(), touching.clone());
    let mut worker = None;
    // Steps from 10 on are done by a thread, from 20 on by a process that a thread makes.
    let mut inside = home.child(move |step| -> Res {
        let (thread, fork) = (in_thread.clone(), in_fork.clone());
        let worker = worker.get_or_insert_with(|| {
            Worker::start(move |step| match step {
                20.. => process::in_child(|| fork(step - 20)),
                _ => thread(step - 10),
            })
        });
        if step >= 10 { worker.run(step) } else { touching(step) }
    });
    for from in [0, 10, 20] {
        assert_eq!(inside.try_to(from + SECRET), Ok(()), "before, from {from}");
    }
    let attached = attach(&home, &[&inside.pid().to_string(), "-p", "reader", "--name", "late"]);
    assert_eq!((attached.taken, attached.others.len(), attached.vanished), (1, 0, 0));
    assert_eq!(attached.agent.name, "late");
    for from in [10, 20, 0] {
        assert_eq!(inside.try_to(from + SECRET), Err(EACCES), "from {from}");
        assert_eq!(inside.try_to(from + PUBLIC), Ok(()), "from {from}");
    }
    // Twice is once: it stays with the first.
    let again = home.picket(&["attach", &inside.pid().to_string(), "-p", "reader"]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.contains("of other agents already"), "{said}");
    assert_eq!(daemon.agents().len(), 1);

    // A tree of ordinary programs.
    let script = "sleep 1000 & (sleep 1000 & sleep 1000 & wait) & wait";
    let mut shell = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
    let sleeps = || {
        let list = Command::new("/usr/bin/pgrep").args(["-xc", "sleep"]).output().unwrap();
        (String::from_utf8_lossy(&list.stdout).trim() == "3").then_some(())
    };
    eventually("three sleep", sleeps);
    let attached = attach(&home, &[&shell.id().to_string(), "-p", "reader"]);
    assert_eq!(attached.taken, 5, "{attached:?}");
    assert_eq!(attached.agent.processes.len(), 5);
    let output = home.picket(&["attach", &shell.id().to_string(), "-p", "no-such"]);
    assert!(!output.status.success());
    let path = format!("/v1/agents/{}/end", attached.agent.id);
    let ended: serde_json::Value =
        daemon.call(hyper::Method::POST, &path, &serde_json::json!({})).unwrap();
    assert_eq!(ended["processes"], 5);
    shell.wait().unwrap();
    // Nobody else is concerned.
    let mut outside = reader(&home, &place);
    assert_eq!(outside.try_to(SECRET), Ok(()));
    for wrong in [&["1"][..], &["--cgroup", "/"], &["--unit", "no-such.service"], &["4194303"]] {
        let output = home.picket(&[&["attach", "-p", "reader"], wrong].concat());
        assert_eq!(output.status.code(), Some(125), "{wrong:?}");
    }
    let stranger = {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(PICKET);
        command.args(["attach", &inside.pid().to_string(), "-p", "reader"]);
        command.env("PICKET_SOCKET", home.socket()).uid(65534).gid(65534).output().unwrap()
    };
    let said = String::from_utf8_lossy(&stranger.stderr);
    assert!(said.contains("only root may attach"), "{said}");
}

#[test]
fn what_was_open_before_is_listed_and_cut_off_where_that_is_asked() {
    let place = Place::on_disk("daemon_cut");
    let home = Home::new("cut");
    home.policy("reader", &reads_public(&place));
    let daemon = home.start();
    let (secret, public) = (place.file("secret"), place.file("public"));
    let shown = secret.display().to_string();
    let holder = || {
        let (secret, public) = (secret.clone(), public.clone());
        let mut kept: Option<[OwnedFd; 2]> = None;
        home.child(move |step| -> Res {
            match &kept {
                None => kept = Some([open(&secret, 0)?, open(&public, 0)?]),
                Some(files) => drop(read_next(&files[step as usize], &mut [0; 1])?),
            }
            Ok(())
        })
    };
    let (mut keeps, mut cut) = (holder(), holder());
    for child in [&mut keeps, &mut cut] {
        assert_eq!(child.try_to(0), Ok(()), "opens");
        assert_eq!(child.try_to(SECRET), Ok(()), "reads, before");
    }
    let attached = attach(&home, &[&keeps.pid().to_string(), "-p", "reader"]);
    let listed = |attached: &Attached| attached.open.iter().any(|open| open.target == shown);
    assert!(listed(&attached), "{attached:?}");
    assert_eq!(keeps.try_to(SECRET), Ok(()), "what it had it keeps");
    let attached = attach(&home, &[&cut.pid().to_string(), "-p", "reader", "--cut-off"]);
    assert!(listed(&attached), "{attached:?}");
    assert_eq!(cut.try_to(SECRET), Err(EACCES));
    assert_eq!(cut.try_to(PUBLIC), Ok(()));
    assert_eq!(keeps.try_to(SECRET), Ok(()), "of another agent");
    // It outlives the daemon, and the next one knows of it.
    daemon.kill();
    assert_eq!(cut.try_to(SECRET), Err(EACCES), "with nobody there");
    let pin = || {
        let mut links = sensor_user::kernel::pins::generations(home.pins()).unwrap();
        let links = format!("links-{}", links.pop().unwrap());
        fs::exists(home.pins().join(links).join("file_permission")).unwrap()
    };
    assert!(pin());
    let daemon = home.start();
    assert_eq!(cut.try_to(SECRET), Err(EACCES), "with the next one there");
    assert_eq!(cut.try_to(PUBLIC), Ok(()));
    let id = attached.agent.id;
    drop(cut);
    eventually("the agent is gone", || {
        daemon.agents().iter().all(|agent| agent.id != id).then_some(())
    });
    assert!(!pin(), "nobody needs it any more");
    let sleeper = Command::new("/usr/bin/sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let (pid, mut sleeper) = (sleeper.id().to_string(), sleeper);
    let attached = attach(&home, &[&pid, "-p", "reader", "--cut-off"]);
    assert_eq!(attached.taken, 1, "armed once more, by a daemon that adopted");
    assert!(pin());
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn who_is_cut_off_stays_so_under_another_build_and_by_all_hooks_of_that() {
    let place = Place::on_disk("daemon_cut_upgrade");
    let home = Home::new("cut-upgrade");
    home.policy("reader", &reads_public(&place));
    let mut daemon = home.start();
    let (secret, public) = (place.file("secret"), place.file("public"));
    let mut kept: Option<[OwnedFd; 2]> = None;
    let mut cut = home.child(move |step| -> Res {
        match &kept {
            None => kept = Some([open(&secret, 0)?, open(&public, 0)?]),
            Some(files) => drop(read_next(&files[step as usize], &mut [0; 1])?),
        }
        Ok(())
    });
    assert_eq!(cut.try_to(0), Ok(()), "opens");
    assert_eq!(cut.try_to(SECRET), Ok(()), "reads, before");
    attach(&home, &[&cut.pid().to_string(), "-p", "reader", "--cut-off"]);
    assert_eq!(cut.try_to(SECRET), Err(EACCES));
    let links = || {
        let newest = sensor_user::kernel::pins::generations(home.pins()).unwrap().pop().unwrap();
        home.pins().join(format!("links-{newest}"))
    };
    let armed = || {
        let names = Hook::ON_DEMAND.iter().filter_map(|hook| hook.name());
        names.filter(|name| fs::exists(links().join(name)).unwrap()).count()
    };
    let all = armed();
    assert!(all > 1, "{all}");
    // As a build left it that knew fewer.
    fs::remove_file(links().join("socket_sendmsg_unix")).unwrap();
    assert_eq!(armed(), all - 1);
    for build in [other_build(place.path()), PICKET.into()] {
        let before = links();
        assert!(daemon.stop().success());
        assert_eq!(cut.try_to(SECRET), Err(EACCES), "with nobody there");
        daemon = home.start_as(&build);
        assert_ne!(links(), before, "nothing new is in force");
        assert_eq!(armed(), all);
        assert_eq!(cut.try_to(SECRET), Err(EACCES), "under {}", build.display());
        assert_eq!(cut.try_to(PUBLIC), Ok(()));
    }
}
