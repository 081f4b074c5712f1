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
        None => exit(body().map_or_else(|errno| errno.0, |()| 0)),
        Some(pid) => match wait(pid)? {
            Ended::Code(0) => Ok(()),
            Ended::Code(code) => Err(Errno(code)),
            Ended::Signal(signal) => panic!("a child was ended by signal {signal}"),
        },
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
