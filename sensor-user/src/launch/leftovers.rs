//! What an agent leaves running when its command has ended.
//!
//! The fence is up as long as this process holds it, so nothing of an agent may outlive it. The
//! launcher makes itself the reaper of orphans (`PR_SET_CHILD_SUBREAPER`): however often a process
//! of the agent forks away, it stays among the launcher's descendants, where it is found.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// How long leftovers get between being asked to end and being made to.
const GRACE: Duration = Duration::from_secs(2);
/// How often they are looked for meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// Makes this process the one that orphaned descendants are handed to (`prctl(2)`).
pub fn adopt_orphans() -> io::Result<()> {
    // SAFETY: takes integers only.
    let code = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Collects the exit status of every orphan that has ended, `except` for the command's own process,
/// which somebody else waits for.
pub fn reap(except: Option<u32>) -> io::Result<()> {
    for child in children()? {
        if Some(child) != except {
            wait(child);
        }
    }
    Ok(())
}

/// Ends every descendant that is left: asks each (`SIGTERM`), waits, and then does not ask. Returns
/// how many there were. Does not return while one is alive, for then it would be free.
pub fn end() -> io::Result<usize> {
    end_within(Duration::MAX)
}

/// The same for at most as long after the last grace: some may be left that this process may not end,
/// as those of set-id programs are.
pub fn end_within(patience: Duration) -> io::Result<usize> {
    let started = Instant::now();
    let limit = GRACE.saturating_add(patience);
    let mut asked = BTreeSet::new();
    loop {
        reap(None)?;
        let left = children()?;
        if left.is_empty() || started.elapsed() > limit {
            return Ok(asked.len());
        }
        for child in left {
            if asked.insert(child) {
                signal(child, libc::SIGTERM);
                // A stopped process does not see the signal until it goes on.
                signal(child, libc::SIGCONT);
            } else if started.elapsed() > GRACE {
                signal(child, libc::SIGKILL);
            }
        }
        thread::sleep(PAUSE);
    }
}

/// Pids of this process's children, dead or alive (`proc_pid_task_tid_children(5)`).
fn children() -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let list = match fs::read_to_string(task?.path().join("children")) {
            Ok(list) => list,
            // The thread has ended since it was listed, and handed its children on.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
            Err(error) => return Err(error),
        };
        children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(children)
}

/// Sends a signal to a child.
pub fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: takes integers only. The pid is of a child that was not waited for, so it cannot
    // have been given to another process; that it is gone is as good as ended.
    unsafe { libc::kill(pid.cast_signed(), signal) };
}

fn wait(pid: u32) {
    let mut status = 0;
    // SAFETY: the status is a live integer; a child that has not ended is left alone.
    unsafe { libc::waitpid(pid.cast_signed(), &raw mut status, libc::WNOHANG) };
}
