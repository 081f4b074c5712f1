//! 900s: getting rid of the tag.

use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::thread;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::Arena;
use crate::row::{ATTACK, Attack, Control, Row, way};
use crate::support::sys::files::{open, write};
use crate::support::sys::process::{
    Ended, become_user, born_into, clone, exec, exit, in_child, outcome, set_name, setsid,
};
use crate::support::sys::{Errno, Res};

/// A program that ends with 1 where it fails.
const CP: &str = "/usr/bin/cp";

/// Reading the secret by whoever comes out of it.
const ESCAPE: Attack = Attack {
    policy: VAULT,
    hook: Hook::FILE_OPEN,
    needs: &[Hook::TASK_ALLOC],
    right: Rights::READ,
    about: Arena::secret_text,
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        901,
        "A descendant by every way to make one",
        "The tag is copied before a task can run, and a fork fails where it cannot be",
        Attack {
            ways: &[
                way("fork", |a| in_child(|| a.take_file(a.secret()))),
                way("forks of forks", |a| {
                    in_child(|| in_child(|| in_child(|| a.take_file(a.secret()))))
                }),
                way("vfork", |a| {
                    let status =
                        Command::new("/bin/cp").arg(a.secret()).arg(a.at("work/x")).status();
                    if status.is_ok_and(|status| status.success()) {
                        Ok(())
                    } else {
                        Err(Errno(libc::ECHILD))
                    }
                })
                .tool(),
                way("a thread", |a| {
                    let path = a.secret();
                    let read =
                        move || crate::support::sys::files::read(&open(&path, libc::O_RDONLY)?);
                    a.take(&thread::spawn(read).join().unwrap()?)
                }),
                way("a sibling", |a| sibling(a, libc::CLONE_PARENT)),
                way("a daemon", |a| {
                    in_child(|| setsid().and_then(|()| in_child(|| a.take_file(a.secret()))))
                }),
                way("under another name", |a| {
                    set_name("picket").and_then(|()| a.take_file(a.secret()))
                }),
            ],
            ..ESCAPE
        },
    ),
    Row::stopped(
        902,
        "Another program, another thread in the first one's place",
        "The tag is the task's own, whatever it runs; each thread has one",
        Attack {
            ways: &[
                way("execve", |a| {
                    in_child(|| Err(exec(CP, &["cp", &a.secret_text(), &a.text("work/x")])))
                })
                .errno(1),
                way("execve by a second thread", |a| {
                    let (from, to) = (a.secret_text(), a.text("work/x"));
                    let run = || Err(exec(CP, &["cp", &from, &to]));
                    in_child(|| thread::scope(|scope| scope.spawn(run).join().unwrap()))
                })
                .errno(1),
                way("nohup, setsid, timeout, nice, env", |a| {
                    a.shell("exec nohup setsid -w timeout 20 nice env cp vault/secret work/x")
                })
                .tool(),
            ],
            ..ESCAPE
        },
    ),
    Row::stopped(
        903,
        "Set-id programs: `sudo`, `su`",
        "They are the agent too",
        Attack {
            ways: &[
                way("sudo", |a| a.shell("sudo -n cp vault/secret work/x")).tool(),
                way("sudo to another user and back", |a| {
                    a.shell("sudo -n setpriv --reuid 0 --clear-groups cp vault/secret work/x")
                })
                .tool(),
            ],
            ..ESCAPE
        },
    ),
    Row::stopped(
        904,
        "Another user, other namespaces",
        "The tag is in the task; no lookup goes by user, pid or namespace",
        Attack {
            control: Control::Root("takes capabilities"),
            ways: &[
                way("another user", |a| {
                    in_child(|| become_user(1000).and_then(|()| a.take_file(a.secret())))
                }),
                way("a pid namespace", |a| sibling(a, libc::CLONE_NEWPID)),
                way("all but mounts", |a| {
                    let kinds = libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET;
                    sibling(a, kinds | libc::CLONE_NEWPID | libc::CLONE_NEWCGROUP)
                }),
            ],
            ..ESCAPE
        },
    ),
    Row::stopped(
        905,
        "Moved to another cgroup",
        "A cgroup may add a tag, and takes none away",
        Attack {
            control: Control::Root("cgroups are root's"),
            policy: VAULT,
            // From before the tag: opened inside, it is refused as a file.
            prepare: |arena| {
                let file = open(cgroup("moved").join("cgroup.procs"), libc::O_WRONLY).unwrap();
                arena.note.set(file.as_raw_fd() as u64);
                Box::new(file)
            },
            ways: &[way("cgroup.procs", |a| {
                in_child(|| {
                    let file = ManuallyDrop::new(crate::sys::owned(a.note.get() as i64));
                    write(&file, b"0")?;
                    a.take_file(a.secret())
                })
            })],
            ..ESCAPE
        },
    ),
    Row::stopped(
        906,
        "Born into another cgroup (`CLONE_INTO_CGROUP`)",
        "There is no such child: the limits of the agent's own would end there",
        Attack {
            control: Control::Root("cgroups are root's"),
            policy: VAULT,
            hook: Hook::TASK_ALLOC,
            right: Rights::KERNEL,
            ways: &[way("clone3", |a| {
                let group = open(cgroup("made"), libc::O_PATH | libc::O_DIRECTORY)?;
                born_into(&group, || a.take_file(a.secret()))
            })
            .errno(libc::EACCES)],
            ..ATTACK
        },
    ),
    Row::tested(
        907,
        "Free in a container that a rule covers, as a program that somebody outside runs there (`docker exec`)",
        "Its cgroup tags it before its first instruction, in whatever order it joins; paths are the container's",
        crate::joining::HOOKS,
        crate::joining::who_joins_is_tagged,
    ),
    Row::tested(
        911,
        "So many forks that one is forgotten",
        "The tag is copied before the child exists for anybody; where it cannot be, there is no child",
        &[Hook::TASK_ALLOC, Hook::FILE_OPEN],
        crate::races::forks,
    ),
    Row::tested(
        912,
        "Threads of which one becomes another program while others run",
        "Each thread has the tag itself, and the one that takes over keeps its own",
        &[Hook::TASK_ALLOC, Hook::FILE_OPEN],
        crate::races::threads_that_exec,
    ),
];

/// A process made by `clone` with these flags tries.
fn sibling(arena: &Arena, flags: i32) -> Res {
    let (out, into) = crate::support::sys::files::pipe()?;
    in_child(|| match clone(flags)? {
        None => {
            let errno = arena.take_file(arena.secret()).map_or_else(|errno| errno.0, |()| 0);
            let told = write(&into, &errno.to_le_bytes());
            exit(i32::from(told.is_err()))
        }
        Some(_) => {
            let mut errno = [0; 4];
            crate::support::sys::files::read_next(&out, &mut errno)?;
            outcome(Ok(Ended::Code(i32::from_le_bytes(errno))))
        }
    })
}

/// A cgroup of the test's own.
fn cgroup(name: &str) -> std::path::PathBuf {
    let path = std::path::Path::new("/sys/fs/cgroup").join(format!("picket-{name}"));
    let _ = std::fs::create_dir(&path);
    path
}
