//! 400s, second part: what somebody outside runs later.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::CODING_AGENT;
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, NONE_YET, Row, way};
use crate::support::place;
use crate::support::sys::files::{open, write};
use crate::support::sys::kernel::Setting;
use crate::support::sys::{Errno, Res};

/// Files that somebody else runs later.
const LATER: Attack = Attack {
    policy: CODING_AGENT,
    hook: Hook::PATH_MKNOD,
    right: Rights::CREATE,
    about: |_| "*".to_owned(),
    happened: planted,
    prepare: |arena| {
        for dir in ["home/.ssh", "home/.config/systemd/user", "work/.git/hooks", "work/.vscode"] {
            fs::create_dir_all(arena.at(dir)).unwrap();
        }
        for dir in ["cron/crontabs", "at"] {
            let at = Path::new("/var/spool").join(dir);
            fs::create_dir_all(&at).unwrap();
            fs::set_permissions(at, fs::Permissions::from_mode(0o1777)).unwrap();
        }
        Box::new(())
    },
    ..ATTACK
};

/// Settings through which the kernel starts programs outside.
const HELPERS: Attack = Attack {
    policy: "files:\n  - allow: [read, list]\n    paths: ['/**']",
    hook: Hook::FILE_OPEN,
    right: Rights::WRITE,
    about: |_| "*".to_owned(),
    control: Control::Root("they are root's"),
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        411,
        "Files that run later, outside: shell start-up, ssh, systemd units, cron and at",
        "Denied by `coding-agent.yaml`, existing or not",
        Attack {
            ways: &[
                way(".bashrc", |a| plant(a, "home/.bashrc")),
                way(".profile", |a| plant(a, "home/.profile")),
                way(".ssh/authorized_keys", |a| plant(a, "home/.ssh/authorized_keys")),
                way(".ssh/rc", |a| plant(a, "home/.ssh/rc")),
                way("a user's unit", |a| plant(a, "home/.config/systemd/user/x.service")),
                way(".gitconfig", |a| plant(a, "home/.gitconfig")),
                way("crontab", |_| plant_at(Path::new("/var/spool/cron/crontabs/agent"))),
                way("at", |_| plant_at(Path::new("/var/spool/at/a0000101"))),
            ],
            ..LATER
        },
    ),
    Row::stopped(
        412,
        "Files in the workspace that a person's tools run: git hooks, editors' tasks, agents' settings",
        "Denied by `coding-agent.yaml` also where everything else may be written",
        Attack {
            ways: &[
                way("a git hook", |a| plant(a, "work/.git/hooks/pre-commit")),
                way("git's configuration", |a| plant(a, "work/.git/config")),
                way("by rename", |a| {
                    plant(a, "work/innocent")?;
                    crate::support::sys::files::rename(
                        a.at("work/innocent"),
                        a.at("work/.git/hooks/pre-commit"),
                    )
                })
                .by(Hook::PATH_RENAME, Rights::CREATE),
                way("by renaming a directory of them", |a| {
                    crate::support::sys::files::mkdir(a.at("work/hooks"))?;
                    plant(a, "work/hooks/pre-commit")?;
                    crate::support::sys::files::rename2(
                        a.at("work/hooks"),
                        a.at("work/.git/hooks"),
                        libc::RENAME_EXCHANGE,
                    )
                })
                .by(Hook::PATH_RENAME, Rights::CREATE),
                way("an editor's tasks", |a| plant(a, "work/.vscode/tasks.json")),
                way("tools of an agent", |a| plant(a, "work/.mcp.json")),
            ],
            ..LATER
        },
    ),
    Row::stopped(
        421,
        "Programs that the kernel starts as root: `core_pattern`, `modprobe`, `uevent_helper`, `binfmt_misc`",
        "They are set through files, which no rule allows to write",
        Attack {
            ways: &[
                way("core_pattern", |a| setting(a, "/proc/sys/kernel/core_pattern")),
                way("modprobe", |a| setting(a, "/proc/sys/kernel/modprobe")),
                way("poweroff_cmd", |a| setting(a, "/proc/sys/kernel/poweroff_cmd")),
            ],
            ..HELPERS
        },
    ),
    Row::stopped(
        422,
        "The machine's own controls: `sysrq-trigger`, `/proc/sys`, `/sys`, cgroups",
        "They are files, which no rule allows to write",
        Attack {
            ways: &[
                way("sysrq-trigger", |a| setting(a, "/proc/sysrq-trigger")),
                way("panic", |a| setting(a, "/proc/sys/kernel/panic")),
                way("a device", |a| setting(a, "/sys/block/vda/uevent")),
                way("cgroup.procs", |a| setting(a, "/sys/fs/cgroup/cgroup.procs")),
                way("cgroup.subtree_control", |a| {
                    setting(a, "/sys/fs/cgroup/cgroup.subtree_control")
                }),
            ],
            ..HELPERS
        },
    ),
    Row::open(
        423,
        "The program in `core_pattern` started as root on a crash of the agent's own, by setting its limit to 0",
        "Only the limit 1, which `picket run` sets, keeps it from being started (`core(5)`), and gpg and others \
         set 0: give `core_pattern` a file name where that matters",
        Attack {
            policy: super::VAULT,
            hook: NONE_YET,
            control: Control::Anybody,
            prepare: |arena| {
                let script = format!("#!/bin/sh\n: > {}\n", arena.text("work/ran"));
                let program = place::program(&arena.at("open"), "handler", script.as_bytes());
                let pattern = format!("|{}", program.display());
                Box::new(Setting::set("/proc/sys/kernel/core_pattern", &pattern))
            },
            happened: Arena::ran,
            ways: &[way("SIGSEGV", |a| {
                let crashed = a.shell("ulimit -c 0; exec bash -c 'kill -SEGV $$'");
                assert_eq!(crashed, Err(Errno(libc::ECHILD)));
                // It is started, and not waited for.
                let wait = || std::thread::sleep(std::time::Duration::from_millis(20));
                if (0..100).any(|_| {
                    a.ran() || {
                        wait();
                        false
                    }
                }) {
                    Ok(())
                } else {
                    Err(Errno(libc::EACCES))
                }
            })],
            ..HELPERS
        },
    ),
];

/// Makes a file with something in it.
fn plant(arena: &Arena, name: &str) -> Res {
    plant_at(&arena.at(name))
}

fn plant_at(path: &Path) -> Res {
    write(&open(path, libc::O_CREAT | libc::O_WRONLY)?, b"picket-payload")
}

/// Whether anything was planted where it would run.
fn planted(arena: &Arena) -> bool {
    fn holds(path: &Path) -> bool {
        if path.is_dir() {
            return fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path()));
        }
        fs::read(path).is_ok_and(|bytes| bytes == b"picket-payload")
    }
    let spools = ["/var/spool/cron/crontabs/agent", "/var/spool/at/a0000101"].map(Path::new);
    let found = spools.iter().any(|path| path.exists());
    for path in spools {
        let _ = fs::remove_file(path);
    }
    let guarded =
        ["home", "work/.git", "work/.vscode", "work/.mcp.json"].map(|name| arena.at(name));
    found || guarded.iter().any(|path| holds(path))
}

/// Opens a setting to be written, and writes nothing.
fn setting(arena: &Arena, path: &str) -> Res {
    open(path, libc::O_WRONLY)?;
    arena.take(SECRET.as_bytes())
}
