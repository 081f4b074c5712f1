//! Processes.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use super::files::{pipe, read_next, write};
use super::{Errno, Mut, Ref, Res, Word, c_path, c_text, sys};

/// The argument vector of an `execve`.
struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<usize>,
}

impl Strings {
    fn new(texts: &[&str]) -> Strings {
        let owned: Vec<CString> = texts.iter().map(c_text).collect();
        let pointers = owned.iter().map(Word::word).chain([0]).collect();
        Strings { _owned: owned, pointers }
    }
}

/// `execve(2)` with an empty environment. Returns only if refused.
pub fn exec(program: impl AsRef<Path>, args: &[&str]) -> Errno {
    let (args, env) = (Strings::new(args), Strings::new(&[]));
    refused(sys!(SYS_execve, c_path(program), &args.pointers[..], &env.pointers[..]))
}

/// `execveat(2)`; with an empty path and `AT_EMPTY_PATH`, of the descriptor itself.
pub fn exec_at(dir: RawFd, path: &str, args: &[&str], flags: i32) -> Errno {
    let (args, env) = (Strings::new(args), Strings::new(&[]));
    let (args, env) = (&args.pointers[..], &env.pointers[..]);
    refused(sys!(SYS_execveat, dir, c_text(path), args, env, flags))
}

fn refused(answer: Res<i64>) -> Errno {
    answer.map_or_else(|errno| errno, |_| unreachable!("an execve that succeeds does not return"))
}

/// Ends the process, and runs nothing of what Rust or libc would.
pub fn exit(code: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// `fork(2)`, by libc, which keeps its own locks in order: the pid in the parent, `None` in the
/// child.
pub fn fork() -> Res<Option<i32>> {
    // SAFETY: both processes go on with memory of their own; the locks of other threads that the
    // child could wait for are libc's, which takes them before it forks.
    match unsafe { libc::fork() } {
        -1 => Err(Errno(io::Error::last_os_error().raw_os_error().unwrap_or(0))),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// `wait4(2)`, until the child has ended.
pub fn wait(pid: i32) -> Res<Ended> {
    let mut status = 0_i32;
    sys!(SYS_wait4, pid, Mut(&mut status), 0, 0)?;
    Ok(if libc::WIFEXITED(status) {
        Ended::Code(libc::WEXITSTATUS(status))
    } else {
        Ended::Signal(libc::WTERMSIG(status))
    })
}

/// Runs `body` in a child of its own and gives its answer.
pub fn in_child(body: impl FnOnce() -> Res) -> Res {
    match fork()? {
        None => exit_with(body()),
        Some(pid) => match wait(pid)? {
            Ended::Signal(signal) => panic!("a child was ended by signal {signal}"),
            ended => outcome(Ok(ended)),
        },
    }
}

/// Ends the process so that [`outcome`] gives this answer.
pub fn exit_with(answer: Res) -> ! {
    exit(answer.map_or_else(|errno| errno.0, |()| 0))
}

/// The answer of a child that ended with it as its exit code; `EINTR` where a signal ended it.
pub fn outcome(ended: Res<Ended>) -> Res {
    match ended? {
        Ended::Code(0) => Ok(()),
        Ended::Code(errno) => Err(Errno(errno)),
        Ended::Signal(_) => Err(Errno(libc::EINTR)),
    }
}

/// Starts a program in a child: how it ended, or why its `execve` was refused. `start` is called in
/// the child.
pub fn spawn(start: impl FnOnce() -> Errno) -> Res<Ended> {
    let (reader, writer) = pipe()?;
    match fork()? {
        None => {
            let errno = start();
            let told = write(&writer, &errno.0.to_le_bytes());
            exit(i32::from(told.is_err()))
        }
        Some(pid) => {
            drop(writer);
            let mut errno = [0_u8; 4];
            let refused = read_next(&reader, &mut errno)? > 0;
            let ended = wait(pid)?;
            if refused { Err(Errno(i32::from_le_bytes(errno))) } else { Ok(ended) }
        }
    }
}

/// [`spawn`] of a program by its path; `ECHILD` where it ran and failed.
pub fn run(program: impl AsRef<Path>, args: &[&str]) -> Res {
    succeeded(spawn(|| exec(program, args)))
}

/// Makes every end but exit code 0 an error: `ECHILD`.
pub fn succeeded(ended: Res<Ended>) -> Res {
    match ended? {
        Ended::Code(0) => Ok(()),
        _ => Err(Errno(libc::ECHILD)),
    }
}

/// `getpid(2)`.
pub fn pid() -> i32 {
    std::process::id().cast_signed()
}

/// `gettid(2)`.
pub fn tid() -> i32 {
    // SAFETY: takes nothing and returns an integer.
    unsafe { libc::gettid() }
}

/// `kill(2)`.
pub fn kill(pid: i32, signal: i32) -> Res {
    sys!(SYS_kill, pid, signal).map(drop)
}

/// `tgkill(2)`.
pub fn tgkill(pid: i32, tid: i32, signal: i32) -> Res {
    sys!(SYS_tgkill, pid, tid, signal).map(drop)
}

/// `pidfd_open(2)`.
pub fn pidfd(pid: i32) -> Res<OwnedFd> {
    let fd = sys!(SYS_pidfd_open, pid, 0)?;
    // SAFETY: a descriptor that the kernel has just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `pidfd_send_signal(2)`.
pub fn pidfd_kill(process: &OwnedFd, signal: i32) -> Res {
    sys!(SYS_pidfd_send_signal, process.as_raw_fd(), signal, 0, 0).map(drop)
}

/// `pidfd_getfd(2)`.
pub fn pidfd_getfd(process: &OwnedFd, descriptor: RawFd) -> Res {
    let fd = sys!(SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0)?;
    // SAFETY: a descriptor that the kernel has just made.
    drop(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
    Ok(())
}

/// Reads a word of another process that was forked from here, where the word has the same address
/// (`process_vm_readv(2)`).
pub fn peek(pid: i32, at: &u64) -> Res<u64> {
    let mut value = 0_u64;
    let local = [Mut(&mut value).word(), size_of::<u64>()];
    let remote = [Ref(at).word(), size_of::<u64>()];
    sys!(SYS_process_vm_readv, pid, &local[..], 1, &remote[..], 1, 0)?;
    Ok(value)
}

/// `ptrace(2)`: seizes a process and lets it go.
pub fn seize(pid: i32) -> Res {
    sys!(SYS_ptrace, libc::PTRACE_SEIZE, pid, 0, 0)?;
    sys!(SYS_ptrace, libc::PTRACE_INTERRUPT, pid, 0, 0)?;
    let mut status = 0_i32;
    sys!(SYS_wait4, pid, Mut(&mut status), libc::__WALL, 0)?;
    sys!(SYS_ptrace, libc::PTRACE_DETACH, pid, 0, 0).map(drop)
}

/// `kcmp(2)` of two processes' memory.
pub fn kcmp(one: i32, other: i32) -> Res {
    const KCMP_VM: i32 = 1;
    sys!(SYS_kcmp, one, other, KCMP_VM, 0, 0).map(drop)
}

/// `setsid(2)`.
pub fn setsid() -> Res {
    sys!(SYS_setsid).map(drop)
}

/// Becomes another user for good, groups first.
pub fn become_user(id: u32) -> Res {
    sys!(SYS_setgroups, 0, 0)?;
    sys!(SYS_setresgid, id, id, id)?;
    sys!(SYS_setresuid, id, id, id).map(drop)
}

/// The thread's name, as events show it.
pub fn set_name(name: &str) -> Res {
    sys!(SYS_prctl, libc::PR_SET_NAME, c_text(name)).map(drop)
}

/// Lets others of the same user look at this process, which changing the user forbids.
pub fn set_dumpable() -> Res {
    sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 1).map(drop)
}

/// `bpf(2)` that makes a small array map.
pub fn make_map() -> Res {
    const BPF_MAP_CREATE: i32 = 0;
    // Type (2 is an array), key size, value size, entries, flags.
    let attributes = [2_u32, 4, 4, 1, 0];
    let fd = sys!(SYS_bpf, BPF_MAP_CREATE, Ref(&attributes), size_of_val(&attributes))?;
    // SAFETY: a descriptor that the kernel has just made.
    drop(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
    Ok(())
}

/// Writes to standard error, past whatever Rust does with it.
pub fn complain(text: &str) -> Res {
    sys!(SYS_write, 2, text.as_bytes(), text.len()).map(drop)
}

/// `clone(2)` as `fork(2)` does it, with more flags: the pid, or `None` in the child.
pub fn clone(flags: i32) -> Res<Option<i32>> {
    let pid = sys!(SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0)?;
    Ok(if pid == 0 { None } else { Some(pid as i32) })
}

/// `rt_sigqueueinfo(2)` with `SI_QUEUE`.
pub fn queue_signal(pid: i32, signal: i32) -> Res {
    const SI_QUEUE: i32 = -1;
    // `si_signo`, `si_errno` and `si_code` are the first three words.
    let mut info = [0_i32; 32];
    info[0] = signal;
    info[2] = SI_QUEUE;
    sys!(SYS_rt_sigqueueinfo, pid, signal, Ref(&info)).map(drop)
}

/// `setpgid(2)`.
pub fn set_group(pid: i32, group: i32) -> Res {
    sys!(SYS_setpgid, pid, group).map(drop)
}

/// `ptrace(2)`: asks to be traced by the parent.
pub fn trace_me() -> Res {
    sys!(SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0).map(drop)
}

/// `prlimit64(2)`: the limit on core dumps, to what it is.
pub fn keep_limit(pid: i32) -> Res {
    let mut limit = [0_u64; 2];
    sys!(SYS_prlimit64, pid, libc::RLIMIT_CORE, 0, Mut(&mut limit))?;
    sys!(SYS_prlimit64, pid, libc::RLIMIT_CORE, Ref(&limit), 0).map(drop)
}

/// `prlimit64(2)`: reads a limit.
pub fn read_limit(pid: i32) -> Res {
    let mut limit = [0_u64; 2];
    sys!(SYS_prlimit64, pid, libc::RLIMIT_CORE, 0, Mut(&mut limit)).map(drop)
}

/// `sched_setaffinity(2)`, to what it is.
pub fn keep_processors(pid: i32) -> Res {
    let mut mask = [0_u64; 16];
    let size = sys!(SYS_sched_getaffinity, pid, size_of_val(&mask), Mut(&mut mask))?;
    sys!(SYS_sched_setaffinity, pid, size as usize, Ref(&mask)).map(drop)
}

/// `sched_setscheduler(2)`: the ordinary one.
pub fn keep_scheduler(pid: i32) -> Res {
    let priority = 0_i32;
    sys!(SYS_sched_setscheduler, pid, libc::SCHED_OTHER, Ref(&priority)).map(drop)
}

/// `setpriority(2)` of a process, to what it is by default.
pub fn keep_nice(pid: i32) -> Res {
    sys!(SYS_setpriority, libc::PRIO_PROCESS, pid, 0).map(drop)
}

/// `ioprio_set(2)` of a process, to none of its own.
pub fn keep_io_priority(pid: i32) -> Res {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    sys!(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, 0).map(drop)
}

/// `move_pages(2)` of no page at all.
pub fn move_no_pages(pid: i32) -> Res {
    sys!(SYS_move_pages, pid, 0_usize, 0, 0, 0, 0).map(drop)
}

/// `process_madvise(2)` of one page: that it will not be needed soon.
pub fn advise(process: &OwnedFd, at: &u64) -> Res {
    let address = Ref(at).word() & !4095;
    let range = [address, 4096];
    sys!(SYS_process_madvise, process.as_raw_fd(), &range[..], 1_usize, libc::MADV_COLD, 0)
        .map(drop)
}

/// `clone3(2)` into a cgroup: the pid, or `None` in the child.
pub fn clone_into(cgroup: &OwnedFd) -> Res<Option<i32>> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    // `struct clone_args`: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
    // set_tid, set_tid_size, cgroup.
    let mut args = [0_u64; 11];
    args[0] = CLONE_INTO_CGROUP;
    args[4] = libc::SIGCHLD as u64;
    args[10] = cgroup.as_raw_fd() as u64;
    let pid = sys!(SYS_clone3, Ref(&args), size_of_val(&args))?;
    Ok(if pid == 0 { None } else { Some(pid as i32) })
}

/// Runs `body` in a child that is born into a cgroup, and gives its answer.
pub fn born_into(cgroup: &OwnedFd, body: impl FnOnce() -> Res) -> Res {
    match clone_into(cgroup)? {
        None => exit_with(body()),
        Some(pid) => outcome(wait(pid)),
    }
}

/// `unshare(2)` of the pid namespace, for the children.
pub fn unshare_pids() -> Res {
    sys!(SYS_unshare, libc::CLONE_NEWPID).map(drop)
}
