//! Who did it: what `/proc` says of the process behind an event, when the event arrives. For people
//! and for programs that read the stream; no verdict ever depends on it.
//!
//! A process is known by its pid and the time of its start, both of which come from the kernel's
//! record: a pid that has been given to another names nobody here. What was found is kept for a moment,
//! so that a flood of events costs one look.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sensor_ebpf::event::EventHeader;
use sensor_ebpf::tag::Tag;

use super::redact::Redact;
use crate::event::json::{Ancestor, Process};
use crate::event::subject::printable;
use crate::kernel::sys;

/// How long what was found is taken for what is.
const FRESH: Duration = Duration::from_secs(1);
/// How long it is kept for the last that was known of a process that is gone.
const KEPT: Duration = Duration::from_secs(60);
/// Processes that are remembered whatever their age, the most of them, and cgroups.
const PROCESSES_MIN: usize = 256;
const PROCESSES_MAX: usize = 4096;
const CGROUPS_MAX: usize = 1024;
/// Ancestors that are shown.
const ANCESTORS_MAX: usize = 16;
/// Bytes of a command line that are read, and arguments that are shown.
const ARGV_BYTES: u64 = 4096;
const ARGV_MAX: usize = 64;
/// Nanoseconds in the unit in which `/proc/PID/stat` tells time (`USER_HZ`, 100 wherever Picket runs).
const TICK: u64 = 10_000_000;
/// Where the cgroups of the second version are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Whether a process, by its pid, bears a tag.
pub type Bears = Box<dyn Fn(u32, Tag) -> bool + Send>;

/// What was found out about processes lately.
pub struct Who {
    bears: Bears,
    known: HashMap<(u32, u64), Known>,
    /// With so many, those that are not kept any more are looked for.
    room: usize,
    cgroups: HashMap<u64, (String, Option<String>)>,
}

struct Known {
    comm: [u8; 16],
    at: Instant,
    process: Process,
}

impl Who {
    /// Nobody is known yet.
    pub fn new(bears: Bears) -> Who {
        Who { bears, known: HashMap::new(), room: PROCESSES_MIN, cgroups: HashMap::new() }
    }

    /// By the map of tags.
    pub fn by(tags: crate::kernel::maps::Tags) -> Who {
        Who::new(Box::new(move |pid, tag| {
            let process = sys::pidfd_open(pid.cast_signed());
            process.is_ok_and(|process| matches!(tags.of(process.as_fd()), Ok(Some(t)) if t == tag))
        }))
    }

    /// The process behind an event.
    pub fn of(&mut self, header: &EventHeader, redact: &Redact, now: Instant) -> Process {
        let key = (header.pid, header.start);
        // Another name is most often another program.
        let fresh = |known: &Known| known.comm == header.comm && now < known.at + FRESH;
        if let Some(known) = self.known.get(&key).filter(|known| fresh(known)) {
            return known.process.clone();
        }
        let mut process = match self.look(header, redact) {
            Some(process) => process,
            None => {
                let before = self.known.get(&key).map(|known| known.process.clone());
                Process { gone: true, ..before.unwrap_or_default() }
            }
        };
        if let Some((path, container)) = self.cgroup(header.cgroup, header.pid, process.gone) {
            process.cgroup_path = Some(path);
            process.container = container;
        }
        self.make_room(now);
        self.known.insert(key, Known { comm: header.comm, at: now, process: process.clone() });
        process
    }

    /// Processes come and go for as long as the daemon runs. Looking at all of them pays for itself: as
    /// many again have to come before the next time.
    fn make_room(&mut self, now: Instant) {
        if self.known.len() < self.room {
            return;
        }
        // Of a crowd the latest, and of a crowd within a moment nobody.
        for age in [KEPT, FRESH, Duration::ZERO] {
            self.known.retain(|_, known| now < known.at + age);
            if self.known.len() <= PROCESSES_MAX / 2 {
                break;
            }
        }
        self.room = (self.known.len() * 2).max(PROCESSES_MIN);
    }

    /// Looks; `None` if the process is not there any more.
    fn look(&self, header: &EventHeader, redact: &Redact) -> Option<Process> {
        let pid = header.pid;
        let (ppid, start) = stat(pid)?;
        if start != header.start / TICK {
            return None;
        }
        let (argv, argv_cut) = argv(pid, redact);
        let process = Process {
            exe: link(pid, "exe"),
            cwd: link(pid, "cwd"),
            argv,
            argv_cut,
            ancestry: self.ancestry(ppid, Tag { agent: header.agent, epoch: header.epoch }),
            ..Process::default()
        };
        // Still the same, so all of this was of it.
        (stat(pid)?.1 == start).then_some(process)
    }

    /// Ancestors that bear the tag, the parent first.
    fn ancestry(&self, mut pid: u32, tag: Tag) -> Vec<Ancestor> {
        let mut found = Vec::new();
        while pid > 1 && found.len() < ANCESTORS_MAX && (self.bears)(pid, tag) {
            found.push(Ancestor { pid, exe: link(pid, "exe") });
            let Some((parent, _)) = stat(pid) else { break };
            pid = parent;
        }
        found
    }

    /// Path of a cgroup, and the id of the container that it is of.
    fn cgroup(&mut self, id: u64, pid: u32, gone: bool) -> Option<(String, Option<String>)> {
        if let Some(known) = self.cgroups.get(&id) {
            return Some(known.clone());
        }
        if gone {
            return None;
        }
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
        // The process may have been moved since; a cgroup's id is its directory's inode.
        let directory = fs::metadata(Path::new(CGROUPS).join(path.trim_start_matches('/')));
        if directory.is_ok_and(|directory| directory.ino() != id) {
            return None;
        }
        let found = (printable(path.as_bytes()), container(path));
        if self.cgroups.len() >= CGROUPS_MAX {
            self.cgroups.clear();
        }
        self.cgroups.insert(id, found.clone());
        Some(found)
    }
}

/// Pid of the parent, and the time of the start in ticks.
fn stat(pid: u32) -> Option<(u32, u64)> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in it may have anything in it, parentheses and spaces too (`proc_pid_stat(5)`).
fn parse_stat(stat: &[u8]) -> Option<(u32, u64)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut words = std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace();
    let ppid = words.nth(1)?.parse().ok()?;
    let start = words.nth(17)?.parse().ok()?;
    Some((ppid, start))
}

fn link(pid: u32, name: &str) -> Option<String> {
    let target = fs::read_link(format!("/proc/{pid}/{name}")).ok()?;
    Some(printable(target.as_os_str().as_bytes()))
}

/// Arguments, and whether there are more.
fn argv(pid: u32, redact: &Redact) -> (Option<Vec<String>>, bool) {
    let mut bytes = Vec::new();
    let read = fs::File::open(format!("/proc/{pid}/cmdline"))
        .and_then(|file| file.take(ARGV_BYTES + 1).read_to_end(&mut bytes));
    if read.is_err() || bytes.is_empty() {
        return (None, false);
    }
    let (argv, cut) = split(&bytes);
    let mut argv: Vec<String> = argv.into_iter().map(printable).collect();
    redact.apply(&mut argv);
    (Some(argv), cut)
}

/// The arguments, and whether some were left out. One that was cut short is left out: what marks it as
/// a secret might be what is missing.
fn split(bytes: &[u8]) -> (Vec<&[u8]>, bool) {
    let long = bytes.len() as u64 > ARGV_BYTES;
    let whole = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let mut argv: Vec<&[u8]> = whole.split(|byte| *byte == 0).collect();
    if long {
        argv.pop();
    }
    let cut = long || argv.len() > ARGV_MAX;
    argv.truncate(ARGV_MAX);
    (argv, cut)
}

/// The id of a container in the path of its cgroup: the last 64 hexadecimal digits that stand alone in
/// a component, as Docker, containerd, CRI-O and Podman have them.
fn container(path: &str) -> Option<String> {
    let is_id = |word: &&str| {
        word.len() == 64 && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    path.split(|c: char| !c.is_ascii_alphanumeric()).rfind(is_id).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn header(pid: u32, start: u64) -> EventHeader {
        let mut record = vec![0; size_of::<EventHeader>()];
        record[32..40].copy_from_slice(&start.to_le_bytes());
        // Any hook and verdict will do.
        record[52..56].copy_from_slice(&3_u32.to_le_bytes());
        record[76..80].copy_from_slice(&pid.to_le_bytes());
        let header = crate::event::decode::decode(&record).unwrap().header;
        assert_eq!((header.pid, header.start), (pid, start));
        header
    }

    fn start_of(pid: u32) -> u64 {
        stat(pid).unwrap().1 * TICK
    }

    #[test]
    fn a_process_is_described_until_it_is_gone_and_a_moment_longer() {
        let redact = Redact::new(&["--token=*".to_owned()]).unwrap();
        let mut sleeper = Command::new("sh")
            .args(["-c", "echo; read x; exit", "name", "--token=abc"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // By then it has its arguments.
        sleeper.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let pid = sleeper.id();
        let own = std::process::id();
        let mut who = Who::new(Box::new(move |pid, _| pid == own));
        let header = header(pid, start_of(pid) + 5);
        let now = Instant::now();
        let found = who.of(&header, &redact, now);
        assert!(found.exe.as_deref().is_some_and(|exe| exe.contains("sh")), "{found:?}");
        let argv = found.argv.clone().unwrap();
        assert_eq!(&argv[1..], ["-c", "echo; read x; exit", "name", "--token=[redacted]"]);
        assert_eq!(found.cwd.as_deref(), Some("/"));
        assert_eq!(found.ancestry.iter().map(|a| a.pid).collect::<Vec<_>>(), [own]);
        assert!(!found.gone);
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert_eq!(who.of(&header, &redact, now), found, "kept for a moment");
        let later = who.of(&header, &redact, now + FRESH);
        assert_eq!(later, Process { gone: true, ..found }, "the last that was known");
        let other = EventHeader { start: header.start + 10 * TICK, ..header };
        let unknown = who.of(&other, &redact, now);
        assert_eq!((unknown.gone, unknown.exe), (true, None), "another of the same pid");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut who = Who::new(Box::new(|_, _| false));
        let gone = header(u32::MAX >> 1, 1);
        for start in 0..3 * PROCESSES_MAX as u64 {
            let event = EventHeader { start, ..gone };
            who.of(&event, &Redact::default(), Instant::now());
            assert!(who.known.len() <= PROCESSES_MAX);
        }
    }

    #[test]
    fn who_came_and_went_long_ago_takes_no_memory() {
        let mut who = Who::new(Box::new(|_, _| false));
        let (gone, begun) = (header(u32::MAX >> 1, 1), Instant::now());
        for start in 0..4 * PROCESSES_MIN as u64 {
            let event = EventHeader { start, ..gone };
            who.of(&event, &Redact::default(), begun + Duration::from_secs(start));
            assert!(who.known.len() <= PROCESSES_MIN, "{start}");
        }
        // A crowd within a minute is remembered whole.
        let now = begun + Duration::from_secs(1 << 20);
        let many = 4 * PROCESSES_MIN;
        for start in 0..many as u64 {
            who.of(&EventHeader { start, ..gone }, &Redact::default(), now);
        }
        assert_eq!(who.known.len(), many);
        // Of one that is too large, those that were looked at just now.
        let half = PROCESSES_MAX / 2;
        for start in many as u64..=PROCESSES_MAX as u64 {
            let at = if start < half as u64 { now } else { now + FRESH };
            who.of(&EventHeader { start, ..gone }, &Redact::default(), at);
        }
        assert_eq!(who.known.len(), half + 1);
    }

    #[test]
    fn forms_of_the_kernel_are_read() {
        let stat = b"12 (a) b) S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 8 9";
        assert_eq!(parse_stat(stat), Some((7, 4711)));
        assert_eq!(parse_stat(b"12 (a"), None);
        assert_eq!(split(b"a\0\0b\0"), (vec![b"a".as_slice(), b"", b"b"], false));
        let long = [b"a\0".as_slice(), &[b'x'; 5000]].concat();
        assert_eq!(split(&long), (vec![b"a".as_slice()], true));
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope/init"),
            format!("/docker/{id}"),
        ] {
            assert_eq!(container(&path), Some(id.clone()), "{path}");
        }
        assert_eq!(container("/user.slice/session-1.scope"), None);
        assert_eq!(container(&format!("/x/{id}0")), None);
    }
}
