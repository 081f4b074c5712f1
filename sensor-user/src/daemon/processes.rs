//! Processes and the tags that they bear, as `/proc` and the map of tags show them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use sensor_ebpf::tag::Tag;

use super::redact::Redact;
use crate::api::types::Process;
use crate::event::subject::printable;
use crate::kernel::maps::Tags;
use crate::kernel::sys;

/// Characters of a command line that are shown.
const COMMAND_MAX: usize = 200;

/// What `/proc/PID/status` says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its parent.
    pub ppid: u32,
    /// Real, effective, saved and file-system user.
    pub uids: [u32; 4],
    /// How many threads it has.
    pub threads: u32,
    /// Pid of the process that the entry is of: another where the number is a thread's.
    pub tgid: u32,
    /// It has ended, and only its parent does not know yet.
    pub ended: bool,
}

/// A process that cannot have been replaced by another of the same pid since.
pub struct Held {
    /// Its pidfd.
    pub fd: OwnedFd,
    /// What it was when it was looked at.
    pub status: Status,
}

/// A process that bears a tag.
pub struct Tagged {
    /// Its pid.
    pub pid: u32,
    /// Its pidfd.
    pub fd: OwnedFd,
}

/// Whether the numbers that a process gives are pids here: in a pid namespace of its own they are those of
/// other processes.
///
/// # Errors
/// If they are not, or it cannot be told: what to say then.
pub fn same_numbers(peer: u32) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    let namespace = |at: &str| fs::metadata(format!("/proc/{at}/ns/pid")).map(|found| found.ino());
    // The daemon's own requests.
    let peer = if peer == 0 { "self".to_owned() } else { peer.to_string() };
    match (namespace("self"), namespace(&peer)) {
        (Ok(own), Ok(theirs)) if own == theirs => Ok(()),
        (Ok(_), Ok(_)) => {
            Err("you are in another pid namespace, whose pids say nothing here".to_owned())
        }
        (Err(error), _) | (_, Err(error)) => {
            Err(format!("cannot tell which pid namespace you are in: {error}"))
        }
    }
}

/// The processes that bear a tag.
pub fn of(tags: &Tags, tag: Tag) -> io::Result<Vec<Tagged>> {
    let mut found = Vec::new();
    for pid in pids()? {
        let Ok(fd) = sys::pidfd_open(pid.cast_signed()) else { continue };
        // One that has ended and waits to be noticed does nothing any more.
        if sys::pidfd_alive(fd.as_fd()).is_ok()
            && status(pid).is_ok_and(|status| !status.ended)
            && tags.of(fd.as_fd()).is_ok_and(|found| found == Some(tag))
        {
            found.push(Tagged { pid, fd });
        }
    }
    Ok(found)
}

/// Takes hold of a process: what is read of it is of the process behind the descriptor.
pub fn hold(pid: u32) -> io::Result<Held> {
    let fd = sys::pidfd_open(pid.cast_signed())?;
    let status = status(pid)?;
    // Still there, so the pid was its own all the time.
    sys::pidfd_alive(fd.as_fd())?;
    Ok(Held { fd, status })
}

/// Reads `/proc/PID/status`.
pub fn status(pid: u32) -> io::Result<Status> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse(&text).ok_or_else(|| io::Error::other("unexpected form of /proc/PID/status"))
}

fn parse(text: &str) -> Option<Status> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let number = |name: &str| field(name)?.trim().parse::<u32>().ok();
    let mut uids = [0; 4];
    let mut words = field("Uid:")?.split_ascii_whitespace();
    for uid in &mut uids {
        *uid = words.next()?.parse().ok()?;
    }
    let (ppid, threads) = (number("PPid:")?, number("Threads:")?);
    // A first thread that has ended leaves the others: only the last one's end is the process's.
    let ended = field("State:")?.trim().starts_with(['Z', 'X']) && threads <= 1;
    Some(Status { ppid, uids, threads, tgid: number("Tgid:")?, ended })
}

/// Pids of all processes there are.
pub fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Ok(pid) = entry?.file_name().to_string_lossy().parse() {
            pids.push(pid);
        }
    }
    Ok(pids)
}

/// Every tag of an agent that some process bears, with the processes.
pub fn tagged(tags: &Tags) -> io::Result<HashMap<Tag, Vec<u32>>> {
    let mut found: HashMap<Tag, Vec<u32>> = HashMap::new();
    for pid in pids()? {
        // One that has ended meanwhile bears nothing.
        let Ok(process) = sys::pidfd_open(pid.cast_signed()) else { continue };
        if let Ok(Some(tag)) = tags.of(process.as_fd())
            && tag != Tag::SENTRY
        {
            found.entry(tag).or_default().push(pid);
        }
    }
    Ok(found)
}

/// What people want to know of these processes, parents before their children.
pub fn describe(pids: &[u32], redact: &Redact) -> Vec<Process> {
    let mut all: Vec<Process> = pids
        .iter()
        .filter_map(|pid| {
            let status = status(*pid).ok()?;
            let command = command(*pid, redact);
            Some(Process { pid: *pid, ppid: status.ppid, uid: status.uids[0], command })
        })
        .collect();
    all.sort_by_key(|process| process.pid);
    let mut ordered = Vec::with_capacity(all.len());
    let is_there = |pid: u32| pids.contains(&pid);
    let roots: Vec<Process> =
        all.iter().filter(|process| !is_there(process.ppid)).cloned().collect();
    let mut stack: Vec<Process> = roots.into_iter().rev().collect();
    while let Some(process) = stack.pop() {
        let children =
            all.iter().filter(|other| other.ppid == process.pid && other.pid != process.pid);
        stack.extend(children.rev().cloned());
        ordered.push(process);
    }
    ordered
}

/// The command line, or the name in brackets of a process that has none (`ps(1)` does so).
fn command(pid: u32, redact: &Redact) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        return format!("[{}]", printable(name.trim_ascii_end()));
    }
    let mut words: Vec<String> = words.into_iter().map(printable).collect();
    redact.apply(&mut words);
    words.join(" ").chars().take(COMMAND_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_by_its_names() {
        let text = "Name:\tUid:\nState:\tZ (zombie)\nTgid:\t7\nPid:\t8\nPPid:\t1\nTracerPid:\t0\nUid:\t1\t2\t3\t4\nThreads:\t5\n";
        let status = parse(text).unwrap();
        assert_eq!(
            status,
            Status { ppid: 1, uids: [1, 2, 3, 4], threads: 5, tgid: 7, ended: false }
        );
        assert_eq!(parse("Uid:\t1\n"), None);
    }

    #[test]
    fn this_process_is_found() {
        let own = std::process::id();
        assert!(pids().unwrap().contains(&own));
        assert_eq!(hold(own).unwrap().status.tgid, own);
        let described = describe(&[own], &Redact::default());
        assert_eq!(described.len(), 1);
        assert!(!described[0].command.is_empty());
    }
}
