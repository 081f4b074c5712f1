//! The tag survives everything that a process can become.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::support::elf;
use crate::support::expect::{Expected, Who};
use crate::support::fence::Fence;
use crate::support::place::{self, Place};
use crate::support::sys::files::{pipe, read_next, touch, write};
use crate::support::sys::process::{
    self, Ended, become_user, clone, exec, exit, in_child, kill, pidfd, set_name, setsid, wait,
};
use crate::support::sys::{EACCES, Errno, Res};

const POLICY: &str = "\
exec:
  - allow: ['${dir}/opener']
files:
  - deny: [read]
    paths: ['${dir}/secret']
capabilities:
  - allow: [setuid, setgid, sys_admin]";

/// What there is to steal, and a program that tries.
struct Scene {
    place: Place,
    secret: PathBuf,
    opener: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let place = Place::on_disk(name);
        let secret = place.file("secret");
        let opener = place::program(place.path(), "opener", &elf::opener(&secret));
        Scene { place, secret, opener }
    }

    /// `way` goes on to try: it succeeds before it is tagged, and is refused as an agent, with one
    /// event by a thread of this name and this user.
    fn check(&self, comm: &str, uid: u32, way: impl Fn(&Path, &Path) -> Res) {
        let mut fence = Fence::up();
        let agent = fence.agent(self.place.path(), POLICY);
        let mut child = fence.child(|_| way(&self.secret, &self.opener));
        assert_eq!(child.try_to(0), Ok(()), "before");
        child.tag(agent.tag);
        assert_eq!(child.try_to(0), Err(EACCES), "inside");
        let event = Expected::deny(Hook::FILE_OPEN, Rights::READ).path(&self.secret).rule(5);
        fence.expect(&agent, Who::Below, &[event.comm(comm).uid(uid)]);
    }
}

/// An exit code as `in_child` makes one.
fn outcome(ended: Ended) -> Res {
    match ended {
        Ended::Code(0) => Ok(()),
        Ended::Code(errno) => Err(Errno(errno)),
        Ended::Signal(signal) => panic!("signal {signal}"),
    }
}

const NAME: &str = crate::support::child::NAME;

#[test]
fn fork() {
    Scene::new("inherit_fork").check(NAME, 0, |secret, _| in_child(|| touch(secret, 0)));
}

#[test]
fn a_fork_of_a_fork_of_a_fork() {
    Scene::new("inherit_forks")
        .check(NAME, 0, |secret, _| in_child(|| in_child(|| in_child(|| touch(secret, 0)))));
}

#[test]
fn vfork() {
    // The standard library starts programs by `posix_spawn`, which is `CLONE_VM | CLONE_VFORK`.
    Scene::new("inherit_vfork").check("opener", 0, |_, opener| {
        let status = Command::new(opener).env_clear().status().unwrap();
        outcome(Ended::Code(status.code().unwrap()))
    });
}

#[test]
fn threads() {
    Scene::new("inherit_threads").check("thread", 0, |secret, _| {
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    set_name("thread")?;
                    touch(secret, 0)
                })
                .join()
                .unwrap()
        })
    });
}

#[test]
fn exec_of_a_program() {
    Scene::new("inherit_exec").check("opener", 0, |_, opener| in_child(|| Err(exec(opener, &[]))));
}

#[test]
fn exec_by_a_thread_that_is_not_the_first() {
    // The thread takes over the first one's place, and with it everything but its own tag.
    Scene::new("inherit_thread_exec").check("opener", 0, |_, opener| {
        in_child(|| thread::scope(|scope| scope.spawn(|| Err(exec(opener, &[]))).join().unwrap()))
    });
}

#[test]
fn a_session_of_its_own() {
    Scene::new("inherit_setsid")
        .check(NAME, 0, |secret, _| in_child(|| setsid().and_then(|()| touch(secret, 0))));
}

#[test]
fn a_daemon_whose_parents_are_gone() {
    Scene::new("inherit_daemon").check(NAME, 0, |secret, _| {
        let (reader, writer) = pipe()?;
        in_child(|| {
            setsid()?;
            if fork_off()? {
                return Ok(());
            }
            let errno = touch(secret, 0).map_or_else(|errno| errno.0, |()| 0);
            exit(i32::from(write(&writer, &errno.to_le_bytes()).is_err()))
        })?;
        drop(writer);
        let mut errno = [0; 4];
        assert_eq!(read_next(&reader, &mut errno)?, 4);
        outcome(Ended::Code(i32::from_le_bytes(errno)))
    });
}

/// Forks, and says who is the parent, which does not wait.
fn fork_off() -> Res<bool> {
    Ok(process::fork()?.is_some())
}

#[test]
fn a_child_of_its_parents_parent() {
    // `CLONE_PARENT`: the new process is a sibling, so that no chain of parents leads to the agent.
    Scene::new("inherit_sibling").check(NAME, 0, |secret, _| {
        in_child(|| {
            let (reader, writer) = pipe()?;
            let Some(_) = clone(libc::CLONE_PARENT)? else {
                let errno = touch(secret, 0).map_or_else(|errno| errno.0, |()| 0);
                exit(i32::from(write(&writer, &errno.to_le_bytes()).is_err()))
            };
            drop(writer);
            let mut errno = [0; 4];
            assert_eq!(read_next(&reader, &mut errno)?, 4);
            outcome(Ended::Code(i32::from_le_bytes(errno)))
        })
    });
}

#[test]
fn another_user() {
    const USER: u32 = 1000;
    Scene::new("inherit_user").check(NAME, USER, |secret, _| {
        in_child(|| become_user(USER).and_then(|()| touch(secret, 0)))
    });
}

#[test]
fn namespaces_of_its_own() {
    // Of processes and of host names; those of mounts make every file foreign.
    Scene::new("inherit_namespaces").check(NAME, 0, |secret, _| {
        match clone(libc::CLONE_NEWPID | libc::CLONE_NEWUTS)? {
            None => exit(touch(secret, 0).map_or_else(|errno| errno.0, |()| 0)),
            Some(pid) => outcome(wait(pid)?),
        }
    });
}

#[test]
fn no_look_at_the_tag_ever_misses() {
    // On 6.1 the kernel's own lookup finds nothing while another task of the processor is inside a
    // storage operation. More processes than processors, which make and look up storage all the
    // time, on a kernel that pre-empts them anywhere.
    let scene = Scene::new("inherit_race");
    let open = place::file(scene.place.path(), "open");
    let spec = "files:\n  - allow: [read]\n    paths: ['${dir}/open']";
    let mut fence = Fence::up();
    let agent = fence.agent(scene.place.path(), spec);
    let mut child = fence.tagged(&agent, |_| race(&scene.secret, &open));
    let answer = child.run(0);
    // The ring may have had no room for all of them.
    fence.leftovers(&agent);
    let wrong = answer.unwrap();
    assert_eq!(wrong & LEAKED, 0, "a secret was read");
    // Where both come together the programs cannot always have their storage, and refuse.
    if lookups_wait_for_nobody() || !pre_empted_anywhere() {
        assert_eq!(wrong & REFUSED, 0, "what is allowed was refused");
        assert_eq!(wrong & NO_FORK, 0, "there was no fork");
    }
}

/// Whether this kernel has the two kinds of storage helper of which programs of this kind get the
/// one that never fails (`bpf_task_storage_get_recur` is the other, since 6.2).
fn lookups_wait_for_nobody() -> bool {
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    assert!(symbols.contains(" bpf_task_storage_get"), "kallsyms has no symbols");
    symbols.lines().any(|line| line.ends_with(" bpf_task_storage_get_recur"))
}

/// Whether this kernel was told to pre-empt tasks wherever they are. Without being told, Debian's do
/// so where a task offers it.
fn pre_empted_anywhere() -> bool {
    fs::read_to_string("/proc/cmdline").unwrap().contains("preempt=full")
}

/// A bit of what [`race`] finds wrong.
const LEAKED: i64 = 1;
/// See [`LEAKED`].
const REFUSED: i64 = 2;
/// See [`LEAKED`].
const NO_FORK: i64 = 4;

/// What went wrong in any of many processes that open and fork at the same time, one bit each.
fn race(secret: &Path, open: &Path) -> Res<i64> {
    const WORKERS: usize = 4;
    const ROUNDS: usize = 200;
    let look = || {
        let leaked = if touch(secret, 0).is_ok() { LEAKED } else { 0 };
        leaked | if touch(open, 0).is_err() { REFUSED } else { 0 }
    };
    let work = || {
        let mut wrong = 0;
        for _ in 0..ROUNDS {
            wrong |= look();
            wrong |= match process::fork() {
                Err(_) => NO_FORK,
                Ok(None) => exit(look() as i32),
                Ok(Some(pid)) => code(wait(pid)),
            };
        }
        wrong
    };
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        match process::fork()? {
            None => exit(work() as i32),
            Some(pid) => workers.push(pid),
        }
    }
    Ok(workers.into_iter().fold(0, |wrong, pid| wrong | code(wait(pid))))
}

/// The exit code of what must have one.
fn code(ended: Res<Ended>) -> i64 {
    match ended {
        Ok(Ended::Code(code)) => code.into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn userspace_sees_the_tag_on_every_descendant() {
    let scene = Scene::new("inherit_seen");
    let mut fence = Fence::up();
    let agent = fence.agent(scene.place.path(), POLICY);
    let tags = fence.tags();
    let mut child = fence.child(|_| idle_child().map(i64::from));
    assert_eq!(child.tag_of(&tags), None);
    child.tag(agent.tag);
    assert_eq!(child.tag_of(&tags), Some(agent.tag));
    let grandchild = child.run(0).unwrap() as i32;
    let process = pidfd(grandchild).unwrap();
    assert_eq!(tags.of(process.as_fd()).unwrap(), Some(agent.tag));
    kill(grandchild, libc::SIGKILL).unwrap();
}

/// A child that waits to be killed.
fn idle_child() -> Res<i32> {
    match process::fork()? {
        None => loop {
            thread::park();
        },
        Some(pid) => Ok(pid),
    }
}
