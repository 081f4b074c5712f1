//! 300s: other names for the same tree: mounts, roots, namespaces.

use std::any::Any;
use std::os::fd::OwnedFd;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::{NOT_ROOT, VAULT};
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, Row, Status, way};
use crate::support::sys::Res;
use crate::support::sys::files::{
    chdir, chroot, detached_clone, mount, open, open_at, read, umount,
};
use crate::support::sys::mounts::{Tmpfs, pivot_root, remount, setns};
use crate::support::sys::process::{clone, exit, exit_with, in_child, outcome, pidfd, wait};
use crate::sys::mounts;
use crate::victim::{self, Victim};

/// Only root may, and root's doing it is what is tried.
const MOUNTING: Attack = Attack {
    policy: VAULT,
    hook: Hook::SB_MOUNT,
    right: Rights::KERNEL,
    control: Control::Root("takes CAP_SYS_ADMIN"),
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        301,
        "A secret under another name: bind mount",
        "No agent may mount",
        Attack {
            ways: &[
                way("MS_BIND", |a| {
                    private()?;
                    mount(a.at("vault"), a.at("work"), "", libc::MS_BIND, "")?;
                    a.take_file(a.at("work/secret"))
                }),
                way("of the file", |a| {
                    private()?;
                    mount(a.secret(), a.at("open/file"), "", libc::MS_BIND, "")?;
                    a.take_file(a.at("open/file"))
                }),
                way("recursive", |a| {
                    private()?;
                    mount("/", a.at("work"), "", libc::MS_BIND | libc::MS_REC, "")?;
                    a.take_file(a.at("work").join(a.secret().strip_prefix("/").unwrap()))
                }),
                way("mount(8)", |a| {
                    a.shell("unshare -m bash -c 'mount --bind vault work && cat work/secret >open/file'")
                })
                .tool(),
                way("moved", |a| {
                    private()?;
                    mount(a.at("vault"), a.at("vault"), "", libc::MS_BIND, "")?;
                    mount(a.at("vault"), a.at("work"), "", libc::MS_MOVE, "")?;
                    a.take_file(a.at("work/secret"))
                }),
            ],
            ..MOUNTING
        },
    ),
    Row::stopped(
        302,
        "A secret through a file system laid over: overlay with the vault below",
        "No agent may mount",
        Attack {
            ways: &[way("overlay", |a| {
                private()?;
                let options = format!("lowerdir={}:{}", a.text("vault"), a.text("open"));
                mount("none", a.at("work"), "overlay", 0, &options)?;
                a.take_file(a.at("work/secret"))
            })],
            ..MOUNTING
        },
    ),
    Row::stopped(
        303,
        "Files that rules protect covered by others: tmpfs, proc",
        "No agent may mount",
        Attack {
            happened: Arena::looted,
            ways: &[
                way("tmpfs", |a| {
                    private()?;
                    mount("none", a.at("vault"), "tmpfs", 0, "")?;
                    a.take(SECRET.as_bytes())
                }),
                way("proc", |a| {
                    private()?;
                    mount("none", a.at("vault"), "proc", 0, "")?;
                    a.take(SECRET.as_bytes())
                }),
                way("cgroup2", |a| {
                    private()?;
                    mount("none", a.at("vault"), "cgroup2", 0, "")?;
                    a.take(SECRET.as_bytes())
                }),
            ],
            ..MOUNTING
        },
    ),
    Row::stopped(
        304,
        "A mount that hangs nowhere: `open_tree(OPEN_TREE_CLONE)`",
        "A file on a mount that is not in the agent's own mount namespace has no name",
        Attack {
            hook: Hook::FILE_OPEN,
            right: Rights::NONE,
            ways: &[
                way("of the vault", |a| {
                    let tree = detached_clone(a.at("vault"))?;
                    a.take(&read(&beneath(&tree, "secret")?)?)
                }),
                way("of the one above", |a| {
                    let tree = detached_clone(a.dir())?;
                    a.take(&read(&beneath(&tree, "vault/secret")?)?)
                }),
            ],
            ..MOUNTING
        },
    ),
    Row::stopped(
        305,
        "A mount hung up by `move_mount`",
        "No agent may move mounts",
        Attack {
            hook: Hook::MOVE_MOUNT,
            ways: &[
                way("a clone", |a| {
                    private()?;
                    let tree = detached_clone(a.at("vault"))?;
                    mounts::hang(&tree, &a.at("work"))?;
                    a.take_file(a.at("work/secret"))
                }),
                way("a new file system", |a| {
                    private()?;
                    let made = mounts::detached("tmpfs")?;
                    mounts::hang(&made, &a.at("work"))?;
                    a.take(SECRET.as_bytes())
                }),
            ],
            ..MOUNTING
        },
    ),
    Row::stopped(
        306,
        "A mount's own flags: `mount_setattr`",
        "A capability that an agent does not have; there is no hook of its own",
        Attack {
            policy: NOT_ROOT,
            hook: Hook::CAPABLE,
            prepare: tmpfs,
            ways: &[way("read-write", |a| {
                mounts::set_mount_flags(&a.at("m")).and_then(|()| a.take(SECRET.as_bytes()))
            })],
            ..MOUNTING
        },
    ),
    Row::stopped(
        307,
        "A mount taken off, and what is below it seen",
        "No agent may unmount",
        Attack {
            hook: Hook::SB_UMOUNT,
            prepare: tmpfs,
            ways: &[
                way("umount2", |a| {
                    private()?;
                    umount(a.at("m"), libc::MNT_DETACH).and_then(|()| a.take(SECRET.as_bytes()))
                }),
            ],
            ..MOUNTING
        },
    ),
    Row::stopped(
        308,
        "A read-only file system made writable",
        "No agent may change mounts",
        Attack {
            hook: Hook::SB_REMOUNT,
            prepare: tmpfs,
            ways: &[way("fsconfig", |a| {
                remount(&a.at("m")).and_then(|()| a.take(SECRET.as_bytes()))
            })],
            ..MOUNTING
        },
    ),
    Row::stopped(
        309,
        "The same by `mount(MS_REMOUNT)`",
        "No agent may mount",
        Attack {
            prepare: tmpfs,
            ways: &[way("MS_REMOUNT", |a| {
                mount("none", a.at("m"), "tmpfs", libc::MS_REMOUNT, "")?;
                a.take(SECRET.as_bytes())
            })],
            ..MOUNTING
        },
    ),
    Row::stopped(
        310,
        "Another root directory, so that names begin elsewhere: `chroot`",
        "No agent may change its root; and paths are walked to the namespace's root, not to the process's",
        Attack {
            hook: Hook::PATH_CHROOT,
            control: Control::Root("takes CAP_SYS_CHROOT"),
            ways: &[
                way("chroot", |a| {
                    chroot(a.at("vault"))?;
                    chdir("/")?;
                    a.take_file("/secret")
                }),
                way("chroot(8)", |a| {
                    a.shell("cp /usr/bin/busybox open && chroot . /open/busybox cat /vault/secret >work/o")
                })
                .tool(),
            ],
            ..MOUNTING
        },
    ),
    Row::stopped(
        311,
        "Another root for all: `pivot_root`",
        "No agent may change the root",
        Attack {
            hook: Hook::SB_PIVOTROOT,
            prepare: tmpfs,
            ways: &[way("pivot_root", |a| {
                private()?;
                pivot_root(&a.at("m")).and_then(|()| a.take(SECRET.as_bytes()))
            })],
            ..MOUNTING
        },
    ),
    Row::stopped(
        312,
        "A user namespace, in which everybody has every capability",
        "No agent may make one",
        Attack {
            hook: Hook::USERNS_CREATE,
            control: Control::Anybody,
            ways: &[
                way("unshare", |a| {
                    mounts::unshare(libc::CLONE_NEWUSER).and_then(|()| a.take(SECRET.as_bytes()))
                }),
                way("with a mount namespace", |a| {
                    mounts::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
                    a.take(SECRET.as_bytes())
                }),
                way("clone", |a| match clone(libc::CLONE_NEWUSER)? {
                    None => exit(0),
                    Some(child) => wait(child).and_then(|_| a.take(SECRET.as_bytes())),
                }),
                way("unshare(1)", |a| {
                    a.shell("unshare -r true && echo picket-secret-8c1f0e >work/out")
                })
                .tool(),
            ],
            ..MOUNTING
        },
    ),
    Row::stopped(
        313,
        "A mount namespace of its own",
        "Every file in it is foreign: the names that rules speak of are those of the namespace that \
         the agent was started in",
        Attack {
            hook: Hook::FILE_OPEN,
            right: Rights::NONE,
            ways: &[
                way("unshare", |a| {
                    mounts::unshare(libc::CLONE_NEWNS)?;
                    a.take_file(a.secret())
                }),
                way("clone", |a| match clone(libc::CLONE_NEWNS)? {
                    None => exit_with(a.take_file(a.secret())),
                    Some(child) => outcome(wait(child)),
                }),
            ],
            ..MOUNTING
        },
    ),
    Row::stopped(
        314,
        "Somebody else's namespaces: `setns`, `nsenter`, `/proc/PID/root`",
        "Reaching into a process outside is refused, and so is its entry in `/proc`",
        Attack {
            hook: Hook::PTRACE_ACCESS_CHECK,
            right: Rights::PROCESS,
            prepare: Victim::boxed,
            happened: Arena::looted,
            ways: &[
                way("pidfd", |a| {
                    setns(&pidfd(a.victim.get())?, libc::CLONE_NEWNS | libc::CLONE_NEWPID)?;
                    a.take(SECRET.as_bytes())
                }),
                way("/proc/PID/ns", |a| {
                    let namespace = open(victim::entry(a, "ns/mnt"), libc::O_RDONLY)?;
                    setns(&namespace, libc::CLONE_NEWNS)?;
                    a.take(SECRET.as_bytes())
                })
                .errno(libc::EACCES),
                way("nsenter", |a| {
                    let pid = a.victim.get();
                    a.shell(&format!("nsenter -t {pid} -m cat {} >work/out", a.secret_text()))
                })
                .tool(),
                way("/proc/PID/root", |a| {
                    a.take_file(victim::entry(a, &format!("root{}", a.secret_text())))
                })
                .errno(libc::EACCES),
                way("/proc/1/root", |a| a.take_file(format!("/proc/1/root{}", a.secret_text())))
                    .errno(libc::EACCES),
            ],
            about: |_| "*".to_owned(),
            ..MOUNTING
        },
    ),
    Row::stopped(
        315,
        "Network, host name, IPC and cgroup namespaces of its own, by root",
        "A capability that an agent does not have",
        Attack {
            policy: NOT_ROOT,
            hook: Hook::CAPABLE,
            ways: &[
                way("network", |a| new(a, libc::CLONE_NEWNET)),
                way("host name", |a| new(a, libc::CLONE_NEWUTS)),
                way("IPC", |a| new(a, libc::CLONE_NEWIPC)),
                way("cgroup", |a| new(a, libc::CLONE_NEWCGROUP)),
                way("processes", |a| new(a, libc::CLONE_NEWPID)),
            ],
            ..MOUNTING
        },
    ),
    Row::untried(
        316,
        "FUSE by `fusermount`, a set-id helper",
        "The helper is the agent too: it may not mount (301)",
        Status::OutOfScope("the same call as 301, by another program"),
        "no FUSE in the guest",
    ),
    Row::tested(
        321,
        "Out of a container: the layers below an overlay, copy-up, bind mounts, `/proc/1/root`, `chroot`",
        "Paths are the container's, from the root of its mount namespace; what is not in that has no name",
        crate::containers::HOOKS,
        crate::containers::names_are_the_containers,
    ),
    Row::tested(
        331,
        "A link that leads to what is allowed while it is checked, and to a secret when it is opened",
        "Nothing is checked before: the hook sees the file that was opened",
        &[Hook::FILE_OPEN],
        crate::races::links_that_change,
    ),
    Row::tested(
        332,
        "Directories renamed all the time while paths through them are opened",
        "Names are read between two looks at the kernel's own counters of renames; a move is judged itself",
        &[Hook::FILE_OPEN, Hook::PATH_RENAME],
        crate::races::directories_that_move,
    ),
    Row::tested(
        333,
        "Two agents on one tree",
        "Each has its own policy",
        &[Hook::FILE_OPEN],
        crate::races::two_agents,
    ),
];

/// A mount namespace of its own, so that what works is not left to everybody.
fn private() -> Res {
    mounts::unshare(libc::CLONE_NEWNS)
}

fn beneath(tree: &OwnedFd, name: &str) -> Res<OwnedFd> {
    use std::os::fd::AsRawFd as _;
    open_at(tree.as_raw_fd(), name, libc::O_RDONLY, 0)
}

/// A tmpfs at `m`, from before.
fn tmpfs(arena: &Arena) -> Box<dyn Any> {
    Box::new(Tmpfs::within(arena.dir()))
}

/// A namespace of a kind.
fn new(arena: &Arena, kind: i32) -> Res {
    in_child(|| mounts::unshare(kind))?;
    arena.take(SECRET.as_bytes())
}
