//! Acting on other processes.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use super::owned;
use crate::support::sys::process::{exit, wait};
use crate::support::sys::{Mut, Ref, Res, Word as _, sys};

/// `setpriority(2)` of a process.
pub fn renice(pid: i32, nice: i32) -> Res {
    sys!(SYS_setpriority, libc::PRIO_PROCESS, pid, nice).map(drop)
}

/// `getpriority(2)` of a process: 20 minus its niceness.
pub fn niceness(pid: i32) -> Res<i64> {
    sys!(SYS_getpriority, libc::PRIO_PROCESS, pid)
}

/// `sched_setscheduler(2)` to `SCHED_IDLE`.
pub fn make_idle(pid: i32) -> Res {
    let priority = 0_i32;
    sys!(SYS_sched_setscheduler, pid, libc::SCHED_IDLE, Ref(&priority)).map(drop)
}

/// `sched_setattr(2)` to `SCHED_IDLE`.
pub fn make_idle_by_attributes(pid: i32) -> Res {
    // `struct sched_attr` of its first version: size and policy, flags, nice and priority, times.
    let attributes = [48_u64 | (libc::SCHED_IDLE as u64) << 32, 0, 0, 0, 0, 0];
    sys!(SYS_sched_setattr, pid, Ref(&attributes), 0).map(drop)
}

/// `sched_getscheduler(2)`.
pub fn scheduler(pid: i32) -> Res<i64> {
    sys!(SYS_sched_getscheduler, pid)
}

/// `sched_setaffinity(2)` to the first processor.
pub fn pin(pid: i32) -> Res {
    let mask = 1_u64;
    sys!(SYS_sched_setaffinity, pid, size_of::<u64>(), Ref(&mask)).map(drop)
}

/// `ioprio_set(2)` to idle.
pub fn make_io_idle(pid: i32) -> Res {
    const WHO_PROCESS: i32 = 1;
    sys!(SYS_ioprio_set, WHO_PROCESS, pid, 3 << 13).map(drop)
}

/// `ioprio_get(2)`: the class.
pub fn io_class(pid: i32) -> Res<i64> {
    const WHO_PROCESS: i32 = 1;
    sys!(SYS_ioprio_get, WHO_PROCESS, pid).map(|priority| priority >> 13)
}

/// `prlimit64(2)`: sets the soft limit of open files.
pub fn limit_files(pid: i32, limit: u64) -> Res {
    let limits = [limit, 4096];
    sys!(SYS_prlimit64, pid, libc::RLIMIT_NOFILE, Ref(&limits), 0).map(drop)
}

/// `prlimit64(2)`: reads the soft limit of open files.
pub fn files_limit(pid: i32) -> Res<u64> {
    let mut limits = [0_u64; 2];
    sys!(SYS_prlimit64, pid, libc::RLIMIT_NOFILE, 0, Mut(&mut limits))?;
    Ok(limits[0])
}

/// `pidfd_getfd(2)`, keeping what it gives.
pub fn steal(process: &OwnedFd, descriptor: RawFd) -> Res<OwnedFd> {
    sys!(SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0).map(owned)
}

/// `ptrace(2)`: one request with numbers.
pub fn trace(request: u32, pid: i32, address: u64, data: u64) -> Res<i64> {
    sys!(SYS_ptrace, request, pid, address, data)
}

/// `rt_sigqueueinfo(2)`: a signal with made-up information.
pub fn queue_signal(pid: i32, signal: i32) -> Res {
    let mut info = [0_i32; 32];
    info[0] = signal;
    info[2] = libc::SI_QUEUE;
    sys!(SYS_rt_sigqueueinfo, pid, signal, Ref(&info)).map(drop)
}

/// `sigprocmask(2)`: a signal of this process stays pending.
pub fn keep_for_later(signal: i32) {
    let mask = 1_u64 << (signal - 1);
    sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, Ref(&mask), 0, 8).unwrap();
}

/// `sigtimedwait(2)` without waiting: takes such a signal; `EAGAIN` if none has come.
pub fn has_come(signal: i32) -> Res {
    let mask = 1_u64 << (signal - 1);
    sys!(SYS_rt_sigtimedwait, Ref(&mask), 0, Ref(&[0_i64; 2]), 8).map(drop)
}

/// `fcntl(2)`: has the kernel send a process `SIGIO`, or a signal of choice, on behalf of a socket.
pub fn notify_owner(file: &OwnedFd, pid: i32, signal: i32) -> Res {
    let file = file.as_raw_fd();
    sys!(SYS_fcntl, file, libc::F_SETOWN, pid)?;
    const F_SETSIG: i32 = 10;
    sys!(SYS_fcntl, file, F_SETSIG, signal)?;
    sys!(SYS_fcntl, file, libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK).map(drop)
}

/// `move_pages(2)`: asks where a page of another process is.
pub fn where_is(pid: i32, at: &[u8]) -> Res {
    let pages = [at.word()];
    let mut status = [0_i32];
    sys!(SYS_move_pages, pid, 1, &pages[..], 0, &mut status[..], 0).map(drop)
}

/// `migrate_pages(2)`: from the first node to the first.
pub fn migrate(pid: i32) -> Res {
    let nodes = [1_u64];
    sys!(SYS_migrate_pages, pid, 64, &nodes[..], &nodes[..]).map(drop)
}

/// `get_robust_list(2)` of another process.
pub fn robust_list(pid: i32) -> Res {
    let (mut head, mut length) = (0_usize, 0_usize);
    sys!(SYS_get_robust_list, pid, Mut(&mut head), Mut(&mut length)).map(drop)
}

/// Runs something in a child of its own, which is ended if it takes longer than a moment: how it
/// ended is nobody's business.
pub fn spawn_call(body: impl FnOnce()) -> Res {
    const MOMENT: i32 = 60;
    let Some(child) = crate::support::sys::process::fork()? else {
        body();
        exit(0)
    };
    let ended = crate::support::sys::process::pidfd(child)?;
    let mut poll = libc::pollfd { fd: ended.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // Whatever this says, the child is gone afterwards.
    let _ = sys!(SYS_poll, Mut(&mut poll), 1, MOMENT);
    let _ = crate::support::sys::process::kill(child, libc::SIGKILL);
    wait(child).map(drop)
}
