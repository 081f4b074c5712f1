//! 500s: other processes.

use std::fs;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, NONE_YET, Row, Status, way};
use crate::support::sys::files::{open, pipe, read, read_next, write};
use crate::support::sys::net::pair;
use crate::support::sys::process::{
    clone, exit, in_child, kcmp, kill, pid, pidfd, pidfd_kill, seize, tgkill, trace_me,
};
use crate::support::sys::{Errno, Res};
use crate::sys::{memory, process};
use crate::victim::{self, SECRET_AT, Victim, WORD};

/// What is in /proc may be read; that is not enough.
const ALL: &str = "\
files:
  - allow: [read, list, write, create, delete]
    paths: ['/**']
exec:
  - allow: ['/**']
capabilities:
  - allow: [all]
  - deny: [perfmon, sys_admin]";

/// Others may be looked at besides.
const LOOKING: &str = "\
files:
  - allow: [read, list]
    paths: ['/**']
process:
  - allow: [inspect]
capabilities:
  - allow: [all]";

/// Reaching into a process outside.
const REACHING: Attack = Attack {
    policy: ALL,
    hook: Hook::PTRACE_ACCESS_CHECK,
    right: Rights::PROCESS,
    about: victim::name,
    prepare: Victim::boxed,
    ..ATTACK
};

/// Signals to a process outside.
const SIGNALS: Attack = Attack {
    policy: ALL,
    hook: Hook::TASK_KILL,
    right: Rights::PROCESS,
    about: victim::name,
    prepare: Victim::boxed,
    happened: victim::disturbed,
    ..ATTACK
};

/// Changing how a process outside runs. That it may be looked at is asked before.
const TUNING: Attack = Attack {
    policy: LOOKING,
    hook: Hook::TASK_SETSCHEDULER,
    right: Rights::PROCESS,
    about: victim::name,
    prepare: Victim::boxed,
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        501,
        "Another process traced",
        "An agent may reach into its own processes and no others, root or not",
        Attack {
            happened: |arena| arena.looted() || victim::disturbed(arena),
            ways: &[
                way("PTRACE_SEIZE", |a| seize(a.victim.get()).and_then(|()| got(a))),
                way("PTRACE_ATTACH", |a| {
                    process::trace(libc::PTRACE_ATTACH, a.victim.get(), 0, 0)?;
                    got(a)
                }),
            ],
            ..REACHING
        },
    ),
    Row::stopped(
        502,
        "Another process's memory read",
        "The same check of the kernel's",
        Attack {
            ways: &[
                way("process_vm_readv", |a| {
                    let bytes = memory::peek(a.victim.get(), WORD)?;
                    if bytes == WORD { got(a) } else { Err(Errno(libc::ENOMSG)) }
                }),
                way("/proc/PID/mem", |a| {
                    open(victim::entry(a, "mem"), libc::O_RDONLY).and_then(|_| got(a))
                })
                .errno(libc::EACCES),
                way("move_pages", |a| {
                    process::where_is(a.victim.get(), WORD).and_then(|()| got(a))
                }),
                way("get_robust_list", |a| {
                    process::robust_list(a.victim.get()).and_then(|()| got(a))
                }),
                way("kcmp", |a| kcmp(pid(), a.victim.get()).and_then(|()| got(a))),
            ],
            ..REACHING
        },
    ),
    Row::stopped(
        503,
        "Another process's memory written",
        "The same check of the kernel's",
        Attack {
            about: |_| "*".to_owned(),
            happened: victim::scribbled_on,
            ways: &[
                way("process_vm_writev", |a| {
                    memory::poke(a.victim.get(), a.scribble(), b"it was written in here..........")
                }),
                way("/proc/PID/mem", |a| {
                    let memory = open(victim::entry(a, "mem"), libc::O_RDWR)?;
                    let at = a.scribble().as_ptr() as i64;
                    crate::sys::files::write_at(&memory, b"it was written in here..........", at)
                })
                .by(Hook::FILE_OPEN, Rights::WRITE),
            ],
            ..REACHING
        },
    ),
    Row::stopped(
        504,
        "What `/proc/PID` shows to the owner: `environ`, `maps`, `auxv`, `stack`, `syscall`",
        "The same check where the kernel makes it; `environ` and `maps` of a process outside are for \
         rules on files to deny",
        Attack {
            ways: &[
                way("exe", |a| link_of(a, "exe")).errno(libc::EACCES),
                way("cwd", |a| link_of(a, "cwd")).errno(libc::EACCES),
                way("root", |a| link_of(a, "root")).errno(libc::EACCES),
                way("a descriptor", |a| link_of(a, "fd/77")).errno(libc::EACCES),
                way("a namespace", |a| link_of(a, "ns/mnt")).errno(libc::EACCES),
            ],
            ..REACHING
        },
    ),
    Row::stopped(
        505,
        "`/proc/PID/environ` and `maps`, by root on kernels that take `CAP_PERFMON` for it",
        "The same check, and a capability that an agent does not have",
        Attack {
            control: Control::Root("it is about root's capabilities"),
            ways: &[
                way("environ", |a| {
                    read(&open(victim::entry(a, "environ"), libc::O_RDONLY)?).and_then(|_| got(a))
                })
                .errno(libc::EACCES),
                way("maps", |a| {
                    read(&open(victim::entry(a, "maps"), libc::O_RDONLY)?).and_then(|_| got(a))
                })
                .errno(libc::EACCES),
                way("auxv", |a| {
                    read(&open(victim::entry(a, "auxv"), libc::O_RDONLY)?).and_then(|_| got(a))
                })
                .errno(libc::EACCES),
            ],
            ..REACHING
        },
    ),
    Row::stopped(
        506,
        "A secret through another process's eyes: `/proc/PID/{fd,cwd,root}`",
        "The same check; and what is opened is judged by its path",
        Attack {
            ways: &[
                way("its descriptor", |a| a.take_file(victim::secret_entry(a))).errno(libc::EACCES),
                way("its directory", |a| a.take_file(victim::entry(a, "cwd/secret")))
                    .errno(libc::EACCES),
                way("its root", |a| {
                    a.take_file(victim::entry(a, &format!("root{}", a.secret_text())))
                })
                .errno(libc::EACCES),
                way("its thread's", |a| {
                    let pid = a.victim.get();
                    a.take_file(victim::entry(a, &format!("task/{pid}/fd/{SECRET_AT}")))
                })
                .errno(libc::EACCES),
                way("pidfd_getfd", |a| {
                    let file = process::steal(&pidfd(a.victim.get())?, SECRET_AT)?;
                    a.take(&read(&file)?)
                }),
            ],
            ..REACHING
        },
    ),
    Row::stopped(
        507,
        "Another process signalled",
        "An agent may signal its own processes and no others, root or not",
        Attack {
            ways: &[
                way("SIGKILL", |a| kill(a.victim.get(), libc::SIGKILL)),
                way("SIGSTOP", |a| kill(a.victim.get(), libc::SIGSTOP)),
                way("SIGTERM", |a| kill(a.victim.get(), libc::SIGTERM)),
                way("tgkill", |a| tgkill(a.victim.get(), a.victim.get(), libc::SIGKILL)),
                way("pidfd_send_signal", |a| pidfd_kill(&pidfd(a.victim.get())?, libc::SIGKILL)),
                way("rt_sigqueueinfo", |a| process::queue_signal(a.victim.get(), libc::SIGKILL)),
                way("kill", |a| a.shell(&format!("kill -9 {}", a.victim.get()))).tool(),
                way("a realtime signal", |a| kill(a.victim.get(), libc::SIGRTMIN())),
                way("by a child", |a| in_child(|| kill(a.victim.get(), libc::SIGKILL))),
            ],
            ..SIGNALS
        },
    ),
    Row::stopped(
        508,
        "A process stopped for a person's decision set going again",
        "The same check: `SIGCONT` is a signal",
        Attack {
            prepare: |arena| {
                let victim = Victim::new(arena);
                kill(arena.victim.get(), libc::SIGSTOP).unwrap();
                Box::new(victim)
            },
            happened: victim::awake,
            ways: &[way("SIGCONT", |a| {
                // That it is stopped takes a moment.
                std::thread::sleep(std::time::Duration::from_millis(50));
                kill(a.victim.get(), libc::SIGCONT)
            })],
            ..SIGNALS
        },
    ),
    Row::stopped(
        509,
        "A process signalled by the kernel on the agent's behalf: `F_SETOWN` and `SIGIO`",
        "Only oneself may be named there, whatever the policy says of signals",
        Attack {
            hook: Hook::FILE_FCNTL,
            ways: &[
                way("F_SETSIG", |a| {
                    let (mine, other) = pair(libc::SOCK_STREAM)?;
                    process::notify_owner(&mine, a.victim.get(), libc::SIGKILL)?;
                    write(&other, b"x")
                }),
                way("SIGIO", |a| {
                    let (mine, other) = pair(libc::SOCK_STREAM)?;
                    process::notify_owner(&mine, a.victim.get(), 0)?;
                    write(&other, b"x")
                }),
            ],
            ..SIGNALS
        },
    ),
    Row::stopped(
        510,
        "Another process slowed down: niceness, scheduler, processors, disk priority",
        "An agent may do it to its own processes, and to others as its policy says",
        Attack {
            happened: |arena| {
                let pid = arena.victim.get();
                process::niceness(pid) != Ok(20)
                    || process::scheduler(pid) != Ok(0)
                    || process::io_class(pid).is_ok_and(|class| class == 3)
                    || fs::read_to_string(format!("/proc/{pid}/status"))
                        .is_ok_and(|status| status.contains("Cpus_allowed:\t1\n"))
            },
            ways: &[
                way("setpriority", |a| process::renice(a.victim.get(), 10))
                    .by(Hook::TASK_SETNICE, Rights::PROCESS),
                way("SCHED_IDLE", |a| process::make_idle(a.victim.get())),
                way("sched_setattr", |a| process::make_idle_by_attributes(a.victim.get())),
                way("processors", |a| process::pin(a.victim.get())),
                way("ioprio_set", |a| process::make_io_idle(a.victim.get()))
                    .by(Hook::TASK_SETIOPRIO, Rights::PROCESS),
            ],
            ..TUNING
        },
    ),
    Row::stopped(
        511,
        "Another process's limits: `prlimit`",
        "An agent may do it to its own processes, and to others as its policy says",
        Attack {
            hook: Hook::TASK_SETRLIMIT,
            happened: |arena| process::files_limit(arena.victim.get()) == Ok(7),
            ways: &[way("open files", |a| process::limit_files(a.victim.get(), 7))],
            ..TUNING
        },
    ),
    Row::stopped(
        512,
        "Another process's files in `/proc` written: `oom_score_adj`, `coredump_filter`, `clear_refs`",
        "They are files, which no rule allows to write",
        Attack {
            policy: "files:\n  - allow: [read, list]\n    paths: ['/**']",
            hook: Hook::FILE_OPEN,
            right: Rights::WRITE,
            about: |_| "*".to_owned(),
            happened: Arena::looted,
            ways: &[
                way("oom_score_adj", |a| written(a, "oom_score_adj", "900")),
                way("coredump_filter", |a| written(a, "coredump_filter", "0")),
                way("clear_refs", |a| written(a, "clear_refs", "1")),
            ],
            ..TUNING
        },
    ),
    Row::untried(
        513,
        "`PR_SET_PDEATHSIG`, terminal signals, `SIGHUP` of a session",
        "-",
        Status::OutOfScope(
            "the kernel sends those to the agent's own processes, or to what shares its terminal; \
                            a terminal of its own is for whoever starts the agent to give",
        ),
        "the receiver is not chosen by the agent",
    ),
    Row::stopped(
        514,
        "Another process's memory moved to another node: `migrate_pages`, `move_pages`",
        "An agent may do it to its own processes, and to others as its policy says",
        Attack {
            hook: Hook::TASK_MOVEMEMORY,
            ways: &[
                way("move_pages", |a| {
                    process::where_is(a.victim.get(), WORD).and_then(|()| got(a))
                }),
                way("migrate_pages", |a| process::migrate(a.victim.get()).and_then(|()| got(a))),
            ],
            ..TUNING
        },
    ),
    Row::stopped(
        515,
        "A parent outside made the tracer: `PTRACE_TRACEME` in a sibling, which stops whenever it likes",
        "The parent is a process outside, and tracing is acting on it",
        Attack {
            hook: Hook::PTRACE_TRACEME,
            about: |_| "*".to_owned(),
            ways: &[way("CLONE_PARENT", |a| traced_sibling().and_then(|()| got(a)))],
            ..REACHING
        },
    ),
    Row::open(
        516,
        "How many descriptors another process has, and their numbers: the list in `/proc/PID/fd`",
        "For rules on files to deny, as the rest of what `ps` shows; what they lead to is refused (504, 506)",
        Attack {
            hook: NONE_YET,
            ways: &[way("list", |a| {
                fs::read_dir(victim::entry(a, "fd")).map_err(|e| crate::sys::errno_of(&e))?;
                got(a)
            })],
            ..REACHING
        },
    ),
];

/// Asks to be traced in a process whose parent is the test.
fn traced_sibling() -> Res {
    let (answers, answer) = pipe()?;
    if clone(libc::CLONE_PARENT)?.is_none() {
        let errno = trace_me().map_or_else(|errno| errno.0, |()| 0);
        let told = write(&answer, &errno.to_le_bytes());
        exit(i32::from(told.is_err()))
    }
    let mut errno = [0; 4];
    read_next(&answers, &mut errno)?;
    match i32::from_le_bytes(errno) {
        0 => Ok(()),
        errno => Err(Errno(errno)),
    }
}

/// Notes that the attack got what it wanted.
fn got(arena: &Arena) -> Res {
    arena.take(SECRET.as_bytes())
}

/// Reads where a link of the victim's entry leads.
fn link_of(arena: &Arena, name: &str) -> Res {
    fs::read_link(victim::entry(arena, name)).map_err(|error| crate::sys::errno_of(&error))?;
    got(arena)
}

/// Writes to a file of the victim's entry.
fn written(arena: &Arena, name: &str, text: &str) -> Res {
    let file = open(victim::entry(arena, name), libc::O_WRONLY)?;
    write(&file, text.as_bytes())?;
    got(arena)
}
