//! 800s: Picket itself.

use std::fs;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, Row, way};
use crate::support::bystander::Bystander;
use crate::support::fence::Fence;
use crate::support::sys::files::unlink;
use crate::support::sys::kernel::{own_by_thread, signal_by_input, signal_owner_by_input};
use crate::support::sys::process::{Ended, kill, pidfd, tid, wait};
use crate::support::sys::{Errno, Res};
use crate::sys::process::{has_come, keep_for_later};
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
    Row::tested(
        805,
        "The same process signalled by the kernel because of input, by an agent whose policy only reports",
        "No such signal reaches it, whoever asked for it",
        &[Hook::FILE_SEND_SIGIOTASK],
        no_input_signals_picket,
    ),
];

/// A process outside gets the signal, which shows that nothing else is in the way.
fn no_input_signals_picket() {
    let signal = libc::SIGRTMIN() + 3;
    // Before the test itself lets it wait, which would pass on.
    let bystander = Bystander::new(0);
    keep_for_later(signal);
    let mut fence = Fence::up();
    let agent = fence.auditing_agent("/var/tmp", "files:\n  - allow: [read]\n    paths: ['/**']");
    let thread = tid();
    let mut child = fence.tagged(&agent, |target| -> Res {
        let target = target.cast_signed();
        if target == thread {
            return signal_owner_by_input(|reader| own_by_thread(reader, target), signal);
        }
        signal_by_input(target, signal)
    });
    assert_eq!(child.try_to(bystander.0.cast_unsigned()), Ok(()));
    assert_eq!(wait(bystander.0), Ok(Ended::Signal(signal)), "a process outside");
    std::mem::forget(bystander);
    for target in [std::process::id(), thread.cast_unsigned()] {
        assert_eq!(child.try_to(target), Ok(()));
        assert_eq!(has_come(signal), Err(Errno(libc::EAGAIN)), "{target}");
    }
    assert!(!fence.events(&agent).is_empty(), "it is reported");
}

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
