//! What is called `/proc/self` and `/proc/thread-self`.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use sensor_ebpf::verdict::Verdict;
use sensor_user::event::Event;
use sensor_user::event::subject::Subject;

use super::{Mount, NOTHING, denied};
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::touch;
use crate::support::sys::{EACCES, process};
use crate::support::trial::Trial;

#[test]
fn ones_own_entry_in_proc_is_called_self() {
    let place = Place::on_disk("path_proc");
    let of_parent = format!("/proc/{}/status", process::pid());
    let spec =
        "files:\n  - allow: [read]\n    paths: ['/proc/self/status', '/proc/self/task/*/status']";
    Trial::new(&place, spec)
        .allowed("/proc/self", || touch("/proc/self/status", 0))
        .allowed("by pid", || touch(format!("/proc/{}/status", process::pid()), 0))
        .allowed("a thread of one's own", || touch("/proc/thread-self/status", 0))
        .refused("another's", || touch(&of_parent, 0), EACCES, denied(&of_parent))
        .refused("what is no process", || touch("/proc/stat", 0), EACCES, denied("/proc/stat"))
        .refused(
            "another file of one's own",
            || touch("/proc/self/limits", 0),
            EACCES,
            denied("/proc/self/limits"),
        )
        .run();
}

/// Whether the events' only one is a refusal of this path.
fn refused_alone(events: &[Event], path: impl AsRef<Path>) -> bool {
    let subject = Subject::Path(path.as_ref().as_os_str().as_bytes().to_vec().into());
    matches!(events, [event] if event.verdict == Verdict::Deny && event.subject == Some(subject))
}

#[test]
fn ones_own_thread_is_told_from_its_siblings() {
    let place = Place::on_disk("path_threads");
    let proc = place.dir("proc");
    let _proc = Mount::new(Path::new("proc"), &proc, "proc", 0, "");
    let comm = |tid| format!("/proc/self/task/{tid}/comm");
    let mut fence = Fence::up();
    let spec = "files:\n  - allow: [read]\n    paths: ['/proc/thread-self/comm']";
    let agent = fence.agent(place.path(), spec);
    let mut child = fence.child(|step| {
        thread::scope(|scope| match step {
            0 => touch("/proc/thread-self/comm", 0),
            1 => touch(comm(process::pid()), 0),
            2 => touch(format!("/proc/{0}/task/{0}/comm", process::pid()), 0),
            3 => scope.spawn(|| touch("/proc/thread-self/comm", 0)).join().unwrap(),
            4 => scope.spawn(|| touch(comm(process::tid()), 0)).join().unwrap(),
            5 => scope.spawn(|| touch(comm(process::pid()), 0)).join().unwrap(),
            6 => touch("/proc/thread-self/stat", 0),
            7 => touch(proc.join("thread-self/comm"), 0),
            _ => {
                let (told, hear) = mpsc::channel();
                let (go, wait) = mpsc::channel::<()>();
                scope.spawn(move || {
                    told.send(process::tid()).unwrap();
                    _ = wait.recv();
                });
                let sibling = comm(hear.recv().unwrap());
                let outcome = touch(sibling, 0);
                drop(go);
                outcome
            }
        })
    });
    for step in 0..9 {
        assert_eq!(child.try_to(step), Ok(()), "{step} before it is tagged");
    }
    child.tag(agent.tag);
    for step in 0..5 {
        assert_eq!(child.try_to(step), Ok(()), "{step} inside");
        fence.quiet(&agent);
    }
    let id = child.pid();
    let elsewhere = proc.join(format!("self/task/{id}/comm"));
    for (step, path) in [
        (5, Path::new(&comm(id))),
        (6, Path::new("/proc/thread-self/stat")),
        // Rules over `/proc` do not speak of it, so nothing is called otherwise there.
        (7, &elsewhere),
    ] {
        assert_eq!(child.try_to(step), Err(EACCES), "{step} inside");
        let events = fence.events(&agent);
        assert!(refused_alone(&events, path), "{step}: {events:?}");
    }
    assert_eq!(child.try_to(8), Err(EACCES), "a sibling's");
    let events = fence.events(&agent);
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let Some(Subject::Path(path)) = &event.subject else { panic!("{event:?}") };
    assert!(path.starts_with(b"/proc/self/task/") && path.ends_with(b"/comm"), "{event:?}");
    assert!(!refused_alone(&events, comm(id)), "{event:?}");
}

#[test]
fn another_procfs_is_no_way_around() {
    let place = Place::on_disk("path_proc_elsewhere");
    let proc = place.dir("proc");
    let _proc = Mount::new(Path::new("proc"), &proc, "proc", 0, "");
    let own = proc.join("self/status");
    Trial::new(&place, NOTHING).refused("it", || touch(&own, 0), EACCES, denied(&own)).run();
}
