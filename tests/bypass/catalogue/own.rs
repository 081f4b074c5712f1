//! 800s: Picket itself.

use std::fs;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, Row, way};
use crate::support::sys::files::unlink;
use crate::support::sys::process::{kill, pidfd};
use crate::support::sys::{Errno, Res};
use crate::sys::{bpf, process};

/// Whatever files may be used: what is Picket's own is out of reach all the same.
const EVERYTHING: &str = "\
exec:
  - allow: ['/**']
files:
  - allow: [read, list, write, create, delete, link, attr, map]
    paths: ['/**']
capabilities:
  - allow: [all]";

/// The process that holds the programs is the test itself.
const HOLDER: Attack = Attack {
    policy: EVERYTHING,
    hook: Hook::BPF,
    right: Rights::KERNEL,
    control: Control::Root("takes CAP_BPF or CAP_SYS_ADMIN"),
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        801,
        "Picket's maps and programs by number: a policy rewritten, a tag taken off",
        "No agent may use `bpf(2)`",
        Attack {
            ways: &[
                way("a map", |a| {
                    let first = bpf::next_id(true, 0)?;
                    bpf::map(first).and_then(|_| got(a))
                }),
                way("a program", |a| {
                    let first = bpf::next_id(false, 0)?;
                    bpf::program(first).and_then(|_| got(a))
                }),
            ],
            ..HOLDER
        },
    ),
    Row::stopped(
        802,
        "What is pinned, opened by its path: `BPF_OBJ_GET`",
        "No agent may use `bpf(2)`",
        Attack {
            prepare: pinned,
            ways: &[way("OBJ_GET", |a| bpf::pinned(&pin(a)).and_then(|_| got(a)))],
            ..HOLDER
        },
    ),
    Row::stopped(
        803,
        "What is pinned, removed from the BPF file system, so that its last reference goes",
        "Out of reach whatever the policy says",
        Attack {
            hook: Hook::PATH_UNLINK,
            right: Rights::DELETE,
            prepare: pinned,
            happened: |arena| !pin(arena).exists(),
            ways: &[
                way("unlink", |a| unlink(pin(a))),
                way("rm -r", |a| a.shell(&format!("rm {}", pin(a).display()))).tool(),
            ],
            ..HOLDER
        },
    ),
    Row::stopped(
        804,
        "The process that holds the programs killed, stopped, traced, robbed of its descriptors",
        "It is a process outside (501, 506, 507)",
        Attack {
            hook: Hook::TASK_KILL,
            right: Rights::PROCESS,
            control: Control::Nobody("it would end the test"),
            ways: &[
                way("SIGKILL", |_| kill(parent(), libc::SIGKILL)),
                way("SIGSTOP", |_| kill(parent(), libc::SIGSTOP)),
                way("pidfd_getfd", |a| process::steal(&pidfd(parent())?, 3).and_then(|_| got(a)))
                    .by(Hook::PTRACE_ACCESS_CHECK, Rights::PROCESS),
                way("PTRACE_SEIZE", |_| {
                    process::trace(libc::PTRACE_SEIZE, parent(), 0, 0).map(drop)
                })
                .by(Hook::PTRACE_ACCESS_CHECK, Rights::PROCESS),
            ],
            ..HOLDER
        },
    ),
];

fn parent() -> i32 {
    std::os::unix::process::parent_id().cast_signed()
}

fn got(arena: &Arena) -> Res {
    arena.take(SECRET.as_bytes())
}

/// Where something is pinned for the attack.
fn pin(arena: &Arena) -> std::path::PathBuf {
    Path::new("/sys/fs/bpf").join(format!("picket-test-{}", arena.uid))
}

/// Pins a map, and removes it again when dropped.
fn pinned(arena: &Arena) -> Box<dyn std::any::Any> {
    struct Pinned(std::path::PathBuf);
    impl Drop for Pinned {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }
    let at = pin(arena);
    let _ = fs::remove_file(&at);
    let first = bpf::next_id(true, 0).unwrap_or_else(|Errno(e)| panic!("no map: errno {e}"));
    bpf::pin(&bpf::map(first).unwrap(), &at).unwrap();
    Box::new(Pinned(at))
}
