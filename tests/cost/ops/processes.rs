//! Processes: making them, running programs, signals and limits.

use super::{Entry, Op, check, entry};

/// What running a program passes, the libraries that it maps included.
const EXEC: &str = "task_alloc, bprm_check_security, file_open, mmap_file, file_mprotect";

/// All of them.
pub const ALL: &[Entry] = &[
    entry("fork+exit", "task_alloc", fork),
    entry("fork+exec+exit", EXEC, exec),
    entry("signal", "task_kill", signal),
    entry("setpriority", "task_setnice", set_priority),
    entry("sched_setscheduler", "task_setscheduler", set_scheduler),
    entry("ioprio_set", "task_setioprio", set_io_priority),
    entry("prlimit", "task_setrlimit", set_limit),
    entry("getppid", "", getppid),
];

fn fork() -> Op {
    Op::new(100, || {
        // SAFETY: the child only ends.
        unsafe {
            let child = check(libc::fork(), "fork");
            if child == 0 {
                libc::_exit(0);
            }
            check(libc::waitpid(child, std::ptr::null_mut(), 0), "wait");
        }
    })
}

/// The measuring program itself, which ends at once.
fn exec() -> Op {
    Op::new(20, || {
        let ended = std::process::Command::new(super::super::PROGRAM).arg("nothing").status();
        assert!(ended.is_ok_and(|status| status.success()), "the program did not run");
    })
}

fn set_priority() -> Op {
    Op::new(1000, || {
        // SAFETY: takes integers.
        check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) }, "setpriority");
    })
}

fn set_scheduler() -> Op {
    let ordinary = libc::sched_param { sched_priority: 0 };
    Op::new(500, move || {
        // SAFETY: a whole structure.
        let code = unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary) };
        check(code, "sched_setscheduler");
    })
}

fn set_io_priority() -> Op {
    Op::new(1000, || {
        // `IOPRIO_WHO_PROCESS`, and class and level 0: as the scheduler has it.
        // SAFETY: takes integers.
        check(unsafe { libc::syscall(libc::SYS_ioprio_set, 1, 0, 0) }, "ioprio_set");
    })
}

/// The limit that there is.
fn set_limit() -> Op {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: room for a whole structure.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut now) }, "getrlimit");
    Op::new(1000, move || {
        // SAFETY: a whole structure.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const now) }, "setrlimit");
    })
}

/// A signal to oneself that does nothing.
fn signal() -> Op {
    Op::new(1000, || {
        // SAFETY: takes integers.
        check(unsafe { libc::kill(libc::getpid(), libc::SIGURG) }, "kill");
    })
}

fn getppid() -> Op {
    Op::new(2000, || {
        // SAFETY: takes nothing.
        unsafe { libc::syscall(libc::SYS_getppid) };
    })
}
