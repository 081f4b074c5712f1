//! Taking in processes that run already: a tree, or a cgroup, until a whole look finds nobody who is
//! left out. Whatever a process makes after it was taken in is in by itself.
//!
//! A process is tagged by its first thread; the kernel side extends that to the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sensor_ebpf::tag::Tag;

use super::core::Core;
use super::peer::{Peer, Refusal, cannot_look};
use super::processes;
use crate::api::types::{AgentId, Attach, Attached, OpenFile, Whom};
use crate::event::subject::printable;

/// Where cgroups are.
pub const CGROUPS: &str = "/sys/fs/cgroup";
/// How long taking in may take.
const TIME: Duration = Duration::from_secs(20);
/// How deep below [`CGROUPS`] a unit is looked for.
const UNIT_DEPTH: usize = 8;
/// Descriptors that are listed.
const OPEN_MAX: usize = 4096;

/// Who was taken in.
#[derive(Debug, Default)]
pub struct Taken {
    /// Processes that have the tag.
    pub pids: BTreeSet<u32>,
    /// Those that have another.
    pub others: BTreeMap<u32, Tag>,
    /// Those that were gone before they could be tagged.
    pub vanished: BTreeSet<u32>,
}

impl Core {
    /// Makes an agent of processes that run already.
    pub fn attach(&self, peer: Peer, wanted: Attach) -> Result<Attached, Refusal> {
        processes::same_numbers(peer.pid).map_err(Refusal::Conflict)?;
        let group = match &wanted.whom {
            Whom::Pid(pid) => {
                let gone = |error| Refusal::Missing(format!("there is no process {pid}: {error}"));
                let status = processes::status(*pid).map_err(gone)?;
                if *pid == std::process::id() || *pid == 1 || status.tgid != *pid {
                    let why = format!("process {pid} is not one to attach to");
                    return Err(Refusal::Bad(why));
                }
                None
            }
            Whom::Cgroup(at) => Some(cgroup(Path::new(at))?),
            Whom::Unit(name) => Some(unit(name)?),
        };
        let made = self.create(peer, wanted.agent)?;
        let tag: Tag = made.id.into();
        let done = match (&wanted.whom, &group) {
            (Whom::Pid(pid), _) => self.gather(tag, |known| descendants(*pid, known)),
            (_, Some(group)) => self.gather(tag, |_| members(group)),
            (_, None) => Ok(Taken::default()),
        };
        let taken = match done {
            Ok(taken) if !taken.pids.is_empty() => taken,
            outcome => {
                let agent = self.get(tag)?;
                // Processes that are in keep their agent.
                if outcome.as_ref().is_ok_and(|taken| taken.pids.is_empty()) {
                    self.forget(&agent)?;
                }
                return match outcome {
                    Ok(taken) if !taken.others.is_empty() => Err(Refusal::Conflict(
                        "all of these processes are of other agents already".to_owned(),
                    )),
                    Ok(_) => Err(Refusal::Missing("there is no process to take in".to_owned())),
                    Err(refusal) => Err(refusal),
                };
            }
        };
        let open = open_files(&taken.pids);
        if wanted.cut_off {
            self.engine().cut_off(tag, true).map_err(crate::engine::EngineError::from)?;
        }
        let agent = self.get(tag)?;
        let pids: Vec<u32> = taken.pids.iter().copied().collect();
        let detail = format!("{} processes taken in", pids.len());
        self.notice("agent attached", Some(&agent), Some(&detail));
        let mut agent = self.show(&agent, &pids);
        agent.warnings = made.warnings;
        Ok(Attached {
            agent,
            taken: pids.len(),
            others: taken.others.iter().map(|(pid, tag)| (*pid, AgentId::from(*tag))).collect(),
            vanished: taken.vanished.len(),
            open,
        })
    }

    /// Tags those that `look` finds, given who is in already, until a whole look finds nobody new.
    pub fn gather(
        &self,
        tag: Tag,
        mut look: impl FnMut(&BTreeSet<u32>) -> io::Result<Vec<u32>>,
    ) -> Result<Taken, Refusal> {
        let begun = Instant::now();
        let mut taken = Taken::default();
        loop {
            let mut news = false;
            for pid in look(&taken.pids).map_err(cannot_look)? {
                if taken.others.contains_key(&pid) || pid == std::process::id() {
                    continue;
                }
                match self.tag_process(pid, tag) {
                    Ok(None) => news |= taken.pids.insert(pid),
                    Ok(Some(other)) => {
                        taken.others.insert(pid, other);
                    }
                    // Gone: what it made meanwhile is somebody else's child now.
                    Err(_) => news |= taken.vanished.insert(pid),
                }
            }
            if !news {
                return Ok(taken);
            }
            if begun.elapsed() > TIME {
                return Err(Refusal::Failed(format!(
                    "the processes multiply faster than they can be taken in; {} are in agent {}, and \
                     stay there",
                    taken.pids.len(),
                    AgentId::from(tag)
                )));
            }
        }
    }

    /// Gives a process a tag; the other that it has, if it has one.
    fn tag_process(&self, pid: u32, tag: Tag) -> io::Result<Option<Tag>> {
        let held = processes::hold(pid)?;
        match self.tags.of(held.fd.as_fd())? {
            Some(own) if own == tag => Ok(None),
            Some(other) => Ok(Some(other)),
            None if held.status.ended => Err(io::ErrorKind::NotFound.into()),
            None => self.tags.set(held.fd.as_fd(), tag).map(|()| None),
        }
    }
}

/// A process, with what it and those in `known` have made.
fn descendants(root: u32, known: &BTreeSet<u32>) -> io::Result<Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in processes::pids()? {
        if let Ok(status) = processes::status(pid) {
            children.entry(status.ppid).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut waiting: Vec<u32> = known.iter().copied().chain([root]).collect();
    while let Some(pid) = waiting.pop() {
        if found.insert(pid) {
            waiting.extend(children.get(&pid).into_iter().flatten());
        }
    }
    Ok(found.into_iter().filter(|pid| *pid == root || !known.contains(pid)).collect())
}

/// The processes in a cgroup and below it.
pub fn members(group: &Path) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    let mut waiting = vec![group.to_owned()];
    while let Some(group) = waiting.pop() {
        // Nothing where it was removed, or is one of threads, whose processes are in the one above.
        let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        pids.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        for entry in fs::read_dir(&group).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
    }
    // Pid 0 is of another pid namespace.
    pids.retain(|pid| *pid != 0);
    Ok(pids)
}

/// The directory of a cgroup, given as that or as its path below [`CGROUPS`].
pub fn cgroup(given: &Path) -> Result<PathBuf, Refusal> {
    let root = Path::new(CGROUPS);
    let at = if given.starts_with(root) {
        given.to_owned()
    } else {
        root.join(given.strip_prefix("/").unwrap_or(given))
    };
    let found = fs::canonicalize(&at).map_err(|error| {
        Refusal::Missing(format!("there is no cgroup {}: {error}", at.display()))
    })?;
    if found == root || !found.starts_with(root) || !found.join("cgroup.procs").exists() {
        return Err(Refusal::Bad(format!("{} is not a cgroup to attach to", at.display())));
    }
    Ok(found)
}

/// The cgroup of a unit of systemd that runs.
pub fn unit(name: &str) -> Result<PathBuf, Refusal> {
    let name = if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
    if name.contains('/') {
        return Err(Refusal::Bad(format!("{name:?} is not the name of a unit")));
    }
    let mut waiting = vec![(PathBuf::from(CGROUPS), 0)];
    while let Some((at, depth)) = waiting.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name() == *name {
                return Ok(entry.path());
            }
            if depth < UNIT_DEPTH {
                waiting.push((entry.path(), depth + 1));
            }
        }
    }
    Err(Refusal::Missing(format!("no unit {name} runs: it has no cgroup below {CGROUPS}")))
}

/// What processes have open, but for the standard streams' terminals and what leads nowhere.
fn open_files(pids: &BTreeSet<u32>) -> Vec<OpenFile> {
    let mut found = Vec::new();
    for pid in pids {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let fd = entry.file_name().to_string_lossy().parse();
            if let (Ok(fd), Ok(target)) = (fd, fs::read_link(entry.path()))
                && found.len() < OPEN_MAX
            {
                use std::os::unix::ffi::OsStrExt as _;
                let target = printable(target.as_os_str().as_bytes());
                found.push(OpenFile { pid: *pid, fd, target });
            }
        }
    }
    found
}
