//! 400s: somebody outside the fence who does it for the agent.

use std::any::Any;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::{CODING_AGENT, VAULT};
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, NONE_YET, Row, Status, way};
use crate::support::sys::Res;
use crate::support::sys::files::{HERE, chdir, link_at, open, proc_fd, symlink, write};
use crate::support::sys::net::{Address, connect, listener, receiver, send_to, socket};
use crate::sys::{files, ipc, kernel};

const UNIX: i32 = libc::AF_UNIX;

/// Reaching a server's socket.
const SERVER: Attack = Attack {
    policy: VAULT,
    hook: Hook::UNIX_STREAM_CONNECT,
    right: Rights::CONNECT,
    about: |arena| arena.text("vault/engine.sock"),
    prepare: |arena| {
        let at = arena.at("vault/engine.sock");
        arena.watch(listener(&Address::unix(&at), UNIX, libc::SOCK_STREAM));
        fs::set_permissions(at, fs::Permissions::from_mode(0o666)).unwrap();
        Box::new(())
    },
    happened: Arena::reached,
    ..ATTACK
};

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

/// Objects of System V that somebody outside has made.
const SYSTEM_V: Attack = Attack { policy: VAULT, hook: NONE_YET, ..ATTACK };

pub const ROWS: &[Row] = &[
    Row::stopped(
        401,
        "A container engine, the system's bus, an ssh agent: a server's socket by its path",
        "Judged by the path that the *server* bound, not by what the client wrote",
        Attack {
            ways: &[
                way("by its path", |a| stream(&Address::unix(a.at("vault/engine.sock")))),
                way("relative", |a| {
                    chdir(a.at("vault"))?;
                    stream(&Address::unix("engine.sock"))
                }),
                way("a link", |a| {
                    symlink(a.at("vault/engine.sock"), a.at("work/s"))?;
                    stream(&Address::unix(a.at("work/s")))
                }),
                way("a descriptor's entry in /proc", |a| {
                    let file = open(a.at("vault/engine.sock"), libc::O_PATH)?;
                    stream(&Address::unix(proc_fd(&file)))
                }),
                way("a directory's entry in /proc", |a| {
                    let dir = open(a.at("vault"), libc::O_PATH | libc::O_DIRECTORY)?;
                    stream(&Address::unix(format!("{}/engine.sock", proc_fd(&dir))))
                }),
                way("python", |a| {
                    a.shell(
                        "python3 -SEc 'import socket; \
                         socket.socket(socket.AF_UNIX).connect(\"vault/engine.sock\")'",
                    )
                })
                .tool(),
                way("curl", |a| {
                    a.shell(
                        "curl -s -m 2 --unix-socket vault/engine.sock http://x/ || test $? = 28",
                    )
                })
                .tool(),
            ],
            ..SERVER
        },
    ),
    Row::stopped(
        402,
        "A server's socket by a hard link to it",
        "The link itself takes `link`; and the server is judged by the name that it bound",
        Attack {
            hook: Hook::PATH_LINK,
            right: Rights::LINK,
            ways: &[way("link", |a| {
                link_at(HERE, a.at("vault/engine.sock"), a.at("work/s"), 0)?;
                stream(&Address::unix(a.at("work/s")))
            })],
            ..SERVER
        },
    ),
    Row::stopped(
        403,
        "A server that takes datagrams or packets: journald, syslog",
        "Unix datagrams are judged where they are delivered, by the server's name",
        Attack {
            hook: Hook::UNIX_MAY_SEND,
            right: Rights::SEND,
            prepare: |arena| {
                let at = arena.at("vault/engine.sock");
                arena.watch(receiver(&Address::unix(&at), UNIX, libc::SOCK_DGRAM));
                fs::set_permissions(at, fs::Permissions::from_mode(0o666)).unwrap();
                Box::new(())
            },
            ways: &[
                way("sendto", |a| {
                    let socket = socket(UNIX, libc::SOCK_DGRAM, 0)?;
                    send_to(&socket, b"x", 0, &Address::unix(a.at("vault/engine.sock")))
                }),
                way("logger", |a| a.shell("logger --socket-errors=on -u vault/engine.sock x"))
                    .tool(),
            ],
            ..SERVER
        },
    ),
    Row::stopped(
        404,
        "A server without a path: abstract names (X11, session buses)",
        "Abstract names are subjects of their own",
        Attack {
            policy: "network:\n  - allow: [connect]\n    to: ['unix:/**']",
            about: |_| "unix:@picket-engine".to_owned(),
            prepare: |arena| {
                arena.watch(listener(&Address::hidden("picket-engine"), UNIX, libc::SOCK_STREAM));
                Box::new(())
            },
            ways: &[way("connect", |_| stream(&Address::hidden("picket-engine")))],
            ..SERVER
        },
    ),
    Row::stopped(
        405,
        "The engines and buses of a real machine, under the policy that ships",
        "Denied by `coding-agent.yaml`, each with its reason",
        Attack {
            policy: CODING_AGENT,
            about: |_| "*".to_owned(),
            prepare: deputies,
            ways: &[
                way("docker", |_| stream(&Address::unix("/run/docker.sock"))),
                way("podman", |_| stream(&Address::unix("/run/podman/podman.sock"))),
                way("containerd", |_| stream(&Address::unix("/run/containerd/containerd.sock"))),
                way("libvirt", |_| stream(&Address::unix("/run/libvirt/libvirt-sock"))),
                way("systemd", |_| stream(&Address::unix("/run/systemd/private"))),
                way("system bus", |_| stream(&Address::unix("/run/dbus/system_bus_socket"))),
                way("session bus", |_| stream(&Address::unix("/run/user/1000/bus"))),
                way("user's systemd", |_| stream(&Address::unix("/run/user/1000/systemd/private"))),
                way("Wayland", |_| stream(&Address::unix("/run/user/1000/wayland-0"))),
                way("gpg-agent", |_| stream(&Address::unix("/run/user/1000/gnupg/S.gpg-agent"))),
                way("X11", |_| stream(&Address::unix("/tmp/.X11-unix/X7"))),
                way("X11's abstract name", |_| stream(&Address::hidden("/tmp/.X11-unix/X7"))),
                way("tmux", |_| stream(&Address::unix("/tmp/tmux-1000/default"))),
                way("ssh-agent", |_| stream(&Address::unix("/tmp/ssh-picket/agent.1"))),
            ],
            ..SERVER
        },
    ),
    Row::stopped(
        406,
        "Programs that have somebody outside do the work: `docker`, `systemd-run`, `at`, `sudo`, `tmux`",
        "Not on the list of programs, so that the refusal says what it is about",
        Attack {
            policy: CODING_AGENT,
            hook: Hook::BPRM_CHECK_SECURITY,
            right: Rights::EXEC,
            about: |_| "*".to_owned(),
            happened: |arena| arena.at("work/ran").exists(),
            control: Control::Root("sudo is for a user who may"),
            ways: &[
                way("sudo", |a| a.shell("exec sudo -n mkdir work/ran")).tool(),
                way("unshare", |a| a.shell("exec unshare -m mkdir work/ran")).tool(),
                way("nsenter", |a| a.shell("exec nsenter -t 1 -u mkdir work/ran")).tool(),
            ],
            ..ATTACK
        },
    ),
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
                way("in another project", |a| {
                    crate::support::sys::files::mkdir(a.at("work/p"))?;
                    crate::support::sys::files::mkdir(a.at("work/p/.vscode"))?;
                    plant(a, "work/p/.vscode/tasks.json")
                }),
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
        431,
        "Memory that is shared with somebody outside: System V",
        "To be asked of `ipc_permission`",
        Attack {
            prepare: |_| {
                let id = ipc::shared_memory(0x7031, true).unwrap();
                ipc::write_at(ipc::attach(id, 0).unwrap(), SECRET.as_bytes());
                Box::new(Removed(id, ipc::remove_memory))
            },
            ways: &[way("shmat", |a| {
                let at = ipc::attach(ipc::shared_memory(0x7031, false)?, libc::SHM_RDONLY)?;
                a.take(&ipc::bytes_at(at))
            })],
            ..SYSTEM_V
        },
    ),
    Row::open(
        432,
        "Messages to and from somebody outside: System V",
        "To be asked of `msg_queue_msgsnd`, `msg_queue_msgrcv` or `ipc_permission`",
        Attack {
            prepare: |_| {
                let id = ipc::queue(0x7032, true).unwrap();
                let mut text = [0; 32];
                text[..SECRET.len()].copy_from_slice(SECRET.as_bytes());
                ipc::queue_send(id, &text).unwrap();
                Box::new(Removed(id, ipc::remove_queue))
            },
            ways: &[way("msgrcv", |a| a.take(&ipc::queue_receive(ipc::queue(0x7032, false)?)?))],
            ..SYSTEM_V
        },
    ),
    Row::open(
        433,
        "Semaphores of somebody outside: System V",
        "To be asked of `ipc_permission`",
        Attack {
            prepare: |arena| {
                let id = ipc::semaphore(0x7033, true).unwrap();
                arena.note.set(id as u64);
                Box::new(Removed(id, ipc::remove_semaphore))
            },
            happened: |arena| ipc::value(arena.note.get() as i64) != Ok(0),
            ways: &[way("semop", |_| ipc::raise(ipc::semaphore(0x7033, false)?))],
            ..SYSTEM_V
        },
    ),
    Row::stopped(
        434,
        "A POSIX message queue of somebody outside",
        "It is a file of no mount: it has no name that a rule could allow",
        Attack {
            policy: VAULT_ONLY,
            hook: Hook::FILE_OPEN,
            right: Rights::NONE,
            prepare: |_| {
                let flags = libc::O_CREAT | libc::O_RDWR;
                let queue = files::message_queue("picket-victim", flags).unwrap();
                files::queue_send(&queue, SECRET.as_bytes()).unwrap();
                let at = Path::new("/dev/mqueue/picket-victim");
                fs::set_permissions(at, fs::Permissions::from_mode(0o666)).unwrap();
                Box::new(Queue)
            },
            ways: &[way("mq_open", |a| {
                files::message_queue("picket-victim", libc::O_RDONLY)?;
                a.take(SECRET.as_bytes())
            })],
            ..ATTACK
        },
    ),
    Row::open(
        435,
        "A POSIX message queue removed",
        "No `path_*` hook is asked: to be `inode_unlink` on that file system",
        Attack {
            policy: VAULT_ONLY,
            prepare: |arena| {
                let flags = libc::O_CREAT | libc::O_RDWR;
                drop(files::message_queue("picket-victim", flags).unwrap());
                let at = Path::new("/dev/mqueue/picket-victim");
                std::os::unix::fs::chown(at, Some(arena.uid), None).unwrap();
                Box::new(Queue)
            },
            happened: |_| !Path::new("/dev/mqueue/picket-victim").exists(),
            ways: &[way("mq_unlink", |_| files::remove_queue("picket-victim"))],
            ..SYSTEM_V
        },
    ),
    Row::open(
        441,
        "A key that somebody outside keeps in a keyring",
        "To be asked of `key_permission`",
        Attack {
            hook: NONE_YET,
            before: |arena| {
                let key = kernel::add_key("user", "picket-key", SECRET.as_bytes())?;
                arena.note.set(key as u64);
                Ok(())
            },
            ways: &[way("keyctl read", |a| a.take(&kernel::read_key(a.note.get() as i64)?))],
            ..SYSTEM_V
        },
    ),
    Row::untried(
        442,
        "A terminal that is shared with a person: `TIOCSTI`, `TIOCLINUX`",
        "To be `ioctl`s that are not on the list",
        Status::Open,
        "the guest has no terminal that a test could share; kernels since 6.2 can refuse TIOCSTI themselves",
    ),
    Row::untried(
        443,
        "A program that the kernel starts to answer for a key: `request_key`",
        "To be asked of `key_alloc`",
        Status::Open,
        "the guest has no such program",
    ),
];

/// Nothing but the vault's directory may be read.
const VAULT_ONLY: &str = "files:\n  - allow: [read, list]\n    paths: ['/var/**']";

/// A System V object that is removed when this is dropped.
struct Removed(i64, fn(i64) -> Res);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = self.1(self.0);
    }
}

/// A queue that is removed when this is dropped.
struct Queue;

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = files::remove_queue("picket-victim");
    }
}

fn stream(to: &Address) -> Res {
    connect(&socket(UNIX, libc::SOCK_STREAM, 0)?, to)
}

/// Servers where real ones have their sockets.
fn deputies(arena: &Arena) -> Box<dyn Any> {
    for at in [
        "/run/docker.sock",
        "/run/podman/podman.sock",
        "/run/containerd/containerd.sock",
        "/run/libvirt/libvirt-sock",
        "/run/systemd/private",
        "/run/dbus/system_bus_socket",
        "/run/user/1000/bus",
        "/run/user/1000/systemd/private",
        "/run/user/1000/wayland-0",
        "/run/user/1000/gnupg/S.gpg-agent",
        "/tmp/.X11-unix/X7",
        "/tmp/tmux-1000/default",
        "/tmp/ssh-picket/agent.1",
    ] {
        let at = Path::new(at);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let _ = fs::remove_file(at);
        arena.watch(listener(&Address::unix(at), UNIX, libc::SOCK_STREAM));
        fs::set_permissions(at, fs::Permissions::from_mode(0o666)).unwrap();
    }
    arena.watch(listener(&Address::hidden("/tmp/.X11-unix/X7"), UNIX, libc::SOCK_STREAM));
    Box::new(())
}

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
    let guarded = ["home", "work/.git", "work/.vscode", "work/.mcp.json", "work/p/.vscode"]
        .map(|name| arena.at(name));
    found || guarded.iter().any(|path| holds(path))
}

/// Opens a setting to be written, and writes nothing.
fn setting(arena: &Arena, path: &str) -> Res {
    open(path, libc::O_WRONLY)?;
    arena.take(SECRET.as_bytes())
}
