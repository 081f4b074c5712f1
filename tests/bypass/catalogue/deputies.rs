//! 400s: somebody outside the fence who does it for the agent.

use std::any::Any;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::{CODING_AGENT, VAULT};
use crate::arena::Arena;
use crate::row::{ATTACK, Attack, Control, Row, way};
use crate::support::sys::Res;
use crate::support::sys::files::{HERE, chdir, link_at, open, proc_fd, symlink};
use crate::support::sys::net::{Address, connect, listener, receiver, send_to, socket};

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
];

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
