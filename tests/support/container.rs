//! A container as engines make it: a cgroup of its own, a mount namespace with an overlay as its root, a pid
//! namespace, a program of the image as its first process. And what `docker exec`, `runc exec` and
//! `nsenter` do: a process from outside, without a tag, joins it and runs a program of the image.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;

use sensor_ebpf::tag::Tag;
use sensor_user::kernel::load::Tags;

use super::cgroup::{Cgroup, Target};
use super::elf;
use super::place::program;
use super::sys::files::{
    chdir, chroot, mount, open, pipe, read_next, touch, umount, unshare_mounts, write,
};
use super::sys::mounts::{pivot_root, setns};
use super::sys::process::{
    exec, exec_at, exit_with, fork, in_child, kill, outcome, pid, pidfd, unshare_pids, wait,
};
use super::sys::{Errno, Res};

/// Lines of `spec`, with paths as the container has them: its programs may be run, and whatever is not in a
/// vault may be read.
pub const POLICY: &str = "\
exec:
  - allow: ['/**/tools/**']
files:
  - allow: [read]
    paths: ['/**/tools/**', '/**/open/**']
  - deny: [read]
    paths: ['/**/vault/**']";

/// What a way in is to run there, and what that opens first of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errand {
    program: &'static str,
    script: &'static str,
    /// The file, from the root of the container or of a `chroot` in it.
    pub file: &'static str,
}

/// Opens what [`POLICY`] denies.
pub const SECRET: Errand =
    Errand { program: "/tools/secret", script: "/tools/secret.sh", file: "/vault/file" };
/// Opens what it allows.
pub const PUBLIC: Errand =
    Errand { program: "/tools/public", script: "/tools/public.sh", file: "/open/file" };

/// Where the way in with a `chroot` of its own ends up.
const JAIL: &str = "/jail";

impl Errand {
    fn exec(self) -> Res {
        Err(exec(self.program, &["x"]))
    }
}

/// A container that runs. Its processes end when it is dropped, and its cgroup goes.
pub struct Container {
    init: i32,
    keeper: i32,
    process: OwnedFd,
    cgroup: Cgroup,
}

impl Container {
    /// Makes one of an image in this directory, with a cgroup below this one; its first process is put into the
    /// cgroup when all else is made, and then runs a program of the image.
    pub fn start(dir: &Path, above: &Cgroup, name: &str) -> Container {
        Container::made(dir, above.child(name), false)
    }

    /// The same by an engine that is in the cgroup before it begins.
    pub fn start_within(dir: &Path, above: &Cgroup, name: &str) -> Container {
        Container::made(dir, above.child(name), true)
    }

    fn made(dir: &Path, cgroup: Cgroup, within: bool) -> Container {
        image(&dir.join("image"));
        for name in ["upper", "scratch", "root"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let (told, tell) = pipe().unwrap();
        let (go, say_go) = pipe().unwrap();
        let Some(keeper) = fork().unwrap() else {
            drop(say_go);
            // The new namespace is that of its children.
            let joined = if within { cgroup.put(pid()) } else { Ok(()) };
            let init = joined.and_then(|()| unshare_pids()).and_then(|()| fork());
            match init {
                Ok(None) => exit_with(Err(first_process(dir, &go))),
                Ok(Some(pid)) => {
                    let said = write(&tell, &pid.to_le_bytes());
                    drop(tell);
                    exit_with(said.and_then(|()| wait(pid)).and_then(|ended| outcome(Ok(ended))))
                }
                Err(errno) => exit_with(Err(errno)),
            }
        };
        drop((tell, go));
        let mut bytes = [0; 4];
        assert_eq!(read_next(&told, &mut bytes), Ok(4), "no container");
        let init = i32::from_le_bytes(bytes);
        cgroup.put(init).unwrap();
        write(&say_go, b"!").unwrap();
        assert_eq!(read_next(&told, &mut bytes), Ok(0), "its first program did not start");
        Container { init, keeper, process: pidfd(init).unwrap(), cgroup }
    }

    /// Its cgroup.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// The tag of its first process.
    pub fn tag(&self, tags: &Tags) -> Option<Tag> {
        tags.of(self.process.as_fd()).unwrap()
    }

    /// Joins its namespaces, by the files in `/proc`, for the mounts at once and for pids from the next child on.
    fn enter(&self) -> Res {
        self.enter_pids()?;
        self.enter_mounts()
    }

    fn enter_mounts(&self) -> Res {
        setns(&open(self.entry("ns/mnt"), libc::O_RDONLY)?, libc::CLONE_NEWNS)?;
        chdir("/open")
    }

    fn enter_pids(&self) -> Res {
        setns(&open(self.entry("ns/pid"), libc::O_RDONLY)?, libc::CLONE_NEWPID)
    }

    /// The same by the process at once.
    fn enter_by_pidfd(&self) -> Res {
        setns(&self.process, libc::CLONE_NEWPID | libc::CLONE_NEWNS)
    }

    fn entry(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.init)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = kill(self.init, libc::SIGKILL);
        let _ = wait(self.keeper);
    }
}

/// What is in the image.
fn image(image: &Path) {
    for root in [image, &image.join(&JAIL[1..])] {
        for dir in ["tools", "open", "vault", "proc", "old"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for errand in [SECRET, PUBLIC] {
            fs::write(root.join(&errand.file[1..]), "x").unwrap();
            let script = format!("#!{}\n", errand.program);
            program(root, &errand.program[1..], &elf::opener(Path::new(errand.file)));
            program(root, &errand.script[1..], script.as_bytes());
        }
        program(root, "tools/wait", &elf::waiter());
    }
}

/// Makes the container around the calling process, waits until that is in its cgroup, and becomes the first
/// program. Returns only if that fails.
fn first_process(dir: &Path, go: &OwnedFd) -> Errno {
    let made = unshare_mounts()
        .and_then(|()| mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, ""))
        .and_then(|()| {
            let [lower, upper, scratch, root] =
                ["image", "upper", "scratch", "root"].map(|name| dir.join(name));
            overlay(&lower, &upper, &scratch, &root)?;
            mount("proc", root.join("proc"), "proc", 0, "")?;
            pivot_root(&root)
        })
        .and_then(|()| chdir("/"))
        .and_then(|()| umount("/old", libc::MNT_DETACH))
        .and_then(|()| read_next(go, &mut [0]));
    match made {
        Ok(_) => exec("/tools/wait", &["x"]),
        Err(errno) => errno,
    }
}

/// Mounts an overlay.
pub fn overlay(lower: &Path, upper: &Path, scratch: &Path, at: &Path) -> Res {
    let [lower, upper, scratch] = [lower, upper, scratch].map(Path::display);
    let options = format!("lowerdir={lower},upperdir={upper},workdir={scratch}");
    mount("overlay", at, "overlay", 0, &options)
}

/// One way from outside into a container: what `docker exec` does, in the order that somebody does it.
pub struct WayIn {
    /// What is special about it.
    pub name: &'static str,
    run: fn(&Container, &Target, Errand) -> Res,
    /// The root that it gives itself, with no `/` at its end.
    pub root: &'static str,
    /// Whether it runs a program.
    pub runs: bool,
}

const fn way(name: &'static str, run: fn(&Container, &Target, Errand) -> Res) -> WayIn {
    WayIn { name, run, root: "", runs: true }
}

impl WayIn {
    /// Goes in by it, into this cgroup, and runs the errand: what its first `open` answered. `body` runs in
    /// a child of the caller's.
    pub fn go(&self, container: &Container, cgroup: &Path, errand: Errand) -> Res {
        in_child(|| (self.run)(container, &Target::of(cgroup)?, errand))
    }
}

/// All of them.
pub const WAYS_IN: &[WayIn] = &[
    way("cgroup first", |container, target, errand| {
        target.join()?;
        container.enter()?;
        in_child(|| errand.exec())
    }),
    way("namespaces first", |container, target, errand| {
        container.enter()?;
        target.join()?;
        in_child(|| errand.exec())
    }),
    way("cgroup last of all", |container, target, errand| {
        container.enter()?;
        in_child(|| target.join().and_then(|()| errand.exec()))
    }),
    way("put into the cgroup by its parent", |container, target, errand| {
        container.enter()?;
        target.put(|| errand.exec())
    }),
    way("born into the cgroup", |container, target, errand| {
        container.enter()?;
        target.bear(|| errand.exec())
    }),
    way("born into the cgroup, then the namespaces", |container, target, errand| {
        target.bear(|| {
            container.enter_mounts()?;
            errand.exec()
        })
    }),
    way("by a pidfd", |container, target, errand| {
        container.enter_by_pidfd()?;
        target.bear(|| errand.exec())
    }),
    way("mounts alone", |container, target, errand| {
        target.join()?;
        container.enter_mounts()?;
        errand.exec()
    }),
    WayIn {
        root: JAIL,
        ..way("with a root of its own", |container, target, errand| {
            container.enter()?;
            chroot(JAIL)?;
            chdir("/")?;
            target.bear(|| errand.exec())
        })
    },
    way("a program's descriptor", |container, target, errand| {
        let path = container.entry(&format!("root{}", errand.program));
        let program = open(path, libc::O_PATH)?;
        container.enter()?;
        target.bear(|| Err(exec_at(program.as_raw_fd(), "", &["x"], libc::AT_EMPTY_PATH)))
    }),
    way("a script", |container, target, errand| {
        container.enter()?;
        target.bear(|| Err(exec(errand.script, &["x"])))
    }),
    way("vfork", |container, target, errand| {
        container.enter()?;
        target.join()?;
        let mut command = Command::new(errand.program);
        let status = command.arg0("x").status();
        let status = status.map_err(|error| Errno(error.raw_os_error().unwrap_or(0)))?;
        match status.code() {
            Some(0) => Ok(()),
            code => Err(Errno(code.unwrap_or_else(|| status.into_raw()))),
        }
    }),
    way("a thread from before", |container, target, errand| {
        container.enter()?;
        in_child(|| {
            let (tell, told) = channel();
            thread::scope(|scope| {
                let thread = scope.spawn(move || told.recv().map(|()| errand.exec()));
                target.join()?;
                tell.send(()).unwrap();
                thread.join().unwrap().unwrap()
            })
        })
    }),
    way("with a thread from after", |container, target, errand| {
        container.enter()?;
        in_child(|| {
            target.join()?;
            // It has a tag, and whoever runs the program has none yet.
            let (started, start) = channel();
            let idle = move || started.send(()).map(|()| thread::park());
            thread::spawn(idle);
            start.recv().unwrap();
            errand.exec()
        })
    }),
    WayIn {
        runs: false,
        ..way("a fork that runs no program", |container, target, errand| {
            container.enter()?;
            target.join()?;
            in_child(|| touch(errand.file, libc::O_RDONLY))
        })
    },
];
