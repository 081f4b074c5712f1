//! The machine's own kernel side: made once, adopted by every daemon that comes later, upgraded
//! under running agents.
//!
//! The state that agents live by is in maps: tags, agents, policies, the ring. Programs come and go
//! over them. An upgrade loads and attaches the new set while the old one still judges (an operation
//! then needs the yes of both), says in the record that the new one is in force, and only then
//! takes the old one off; wherever it is interrupted, at least one whole set is attached.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::loaded_programs;
use sensor_ebpf::limits::RING_BYTES;

use super::error::KernelError;
use super::load::{Kernel, strange};
use super::maps::EVENTS;
use super::object::{self, has_programs};
use super::pins;
use super::progress::Progress;
use super::record::{NAME, Record, RecordMap};
use super::sys;

/// How a kernel side came to be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// There was none.
    Made,
    /// It was there, with this build's programs.
    Adopted,
    /// It was there with the programs of the version named, which gave way to this build's.
    Upgraded {
        /// Version that had made them.
        from: String,
    },
}

/// The machine's kernel side in force.
pub struct Host {
    /// The handle.
    pub kernel: Kernel,
    /// How far events were passed on.
    pub progress: Progress,
    at: PathBuf,
    map: RecordMap,
    record: Record,
}

impl Host {
    /// Brings the kernel side in the directory of pins `at` into force. The caller must be the only
    /// one who does; see the daemon's lock.
    ///
    /// # Errors
    /// Whatever happens, what was in force before still is.
    pub fn open(at: &Path) -> Result<(Host, Arrival), KernelError> {
        if !has_programs() {
            return Err(KernelError::NoPrograms);
        }
        pins::make(at)?;
        let (map, record, known) = match RecordMap::open(&at.join(NAME))? {
            Some(map) => {
                let record = map.read()?;
                let record = record.ok_or_else(|| strange(at, format!("{NAME} is no record")))?;
                check_abi(at, &record)?;
                (map, record, true)
            }
            None => {
                let record = Record::new(object::hash(), object::VERSION);
                (begin(at, &record)?, record, false)
            }
        };
        let mut record = record;
        let sets = pins::generations(at)?;
        let in_force = known && record.generation != 0 && sets.contains(&record.generation);
        if in_force && record.object == object::hash() {
            let kernel = Kernel::pinned(at)?;
            if missing(&kernel, &pins::links(at, record.generation)).is_none() {
                pins::remove_other_links(at, record.generation)?;
                kernel.stand_guard()?;
                let progress = Progress::open(&at.join(Progress::NAME))?;
                let host = Host { kernel, progress, at: at.to_owned(), map, record };
                return Ok((host, Arrival::Adopted));
            }
        }
        let mut kernel = Kernel::load_over(Some(at))?;
        let progress = Progress::open(&at.join(Progress::NAME))?;
        let generation = sets.last().copied().unwrap_or(0).max(record.generation) + 1;
        // The links are held until the record says that they count; see `drop` below.
        let begun = pins::begin_links(at, generation)?;
        let mut links = kernel.pin_links(&begun)?;
        let before = pins::links(at, record.generation);
        // All or none: the set before may have had fewer.
        let on_demand = kernel.on_demand();
        if on_demand.iter().any(|hook| is_link(&before.join(hook))) {
            links.extend(kernel.pin_some(&begun, &on_demand)?);
        }
        pins::publish(at, generation)?;
        let from = record.version();
        record.generation = generation;
        record.object = object::hash();
        record.set_version(object::VERSION);
        map.write(&record)?;
        pins::remove_other_links(at, generation)?;
        drop(links);
        kernel.stand_guard()?;
        kernel.let_go();
        let arrival = if in_force { Arrival::Upgraded { from } } else { Arrival::Made };
        Ok((Host { kernel, progress, at: at.to_owned(), map, record }, arrival))
    }

    /// What it says of itself.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// A new epoch, that no agent ever had. On the record before it is used.
    pub fn next_epoch(&mut self) -> Result<u32, KernelError> {
        let epoch = self.record.next_epoch;
        self.record.next_epoch = epoch.checked_add(1).ok_or(KernelError::Full("epoch"))?;
        self.map.write(&self.record)?;
        Ok(epoch)
    }

    /// A new table id, that no table ever had. On the record before it is used.
    pub fn next_table(&mut self) -> Result<u32, KernelError> {
        let table = self.record.next_table;
        self.record.next_table = table.checked_add(1).ok_or(KernelError::Full("table"))?;
        self.map.write(&self.record)?;
        Ok(table)
    }

    /// Attaches the hooks of [`Hook::ON_DEMAND`](sensor_ebpf::hook::Hook::ON_DEMAND), so that they stay
    /// attached as the others do. Their programs are loaded anew: an adopted kernel side has none.
    pub fn arm(&mut self) -> Result<(), KernelError> {
        let links = pins::links(&self.at, self.record.generation);
        let mut wanted = self.kernel.on_demand();
        wanted.retain(|hook| !is_link(&links.join(hook)));
        if wanted.is_empty() {
            return Ok(());
        }
        let mut programs = Kernel::load_some(Some(&self.at), |hook| wanted.contains(&hook))?;
        programs.pin_some(&links, &wanted)?;
        programs.let_go();
        Ok(())
    }

    /// Takes off again what [`arm`](Self::arm) has attached.
    pub fn disarm(&mut self) -> Result<(), KernelError> {
        let links = pins::links(&self.at, self.record.generation);
        for hook in self.kernel.on_demand() {
            pins::remove_file(&links.join(hook))?;
        }
        Ok(())
    }

    /// Each hook with whether its program is attached.
    #[must_use]
    pub fn armed(&self) -> Vec<(&'static str, bool)> {
        let links = pins::links(&self.at, self.record.generation);
        let armed = |hook| (hook, is_link(&links.join(hook)));
        self.kernel.permanent().into_iter().map(armed).collect()
    }

    /// Bytes of the event ring that are in use, and how many there are.
    pub fn ring(&self) -> Result<(u64, u64), KernelError> {
        let failed = |source| KernelError::Call { what: "look at the event ring", source };
        let map = sys::open_pin(&self.at.join(EVENTS)).map_err(failed)?;
        let (read, written) = sys::ring_positions(map.as_fd()).map_err(failed)?;
        Ok((written.saturating_sub(read), u64::from(RING_BYTES)))
    }

    /// Kernel memory of each pinned map, in bytes, as the kernel counts it. The tables of policies are
    /// maps of their own, and not among these.
    #[must_use]
    pub fn map_memory(&self) -> Vec<(String, u64)> {
        let names = pins::names(&self.at).unwrap_or_default();
        let size = |name: &String| {
            let map = sys::open_pin(&self.at.join(name)).ok()?;
            let info = format!("/proc/self/fdinfo/{}", map.as_raw_fd());
            let text = std::fs::read_to_string(info).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("memlock:"))?;
            line.trim().parse().ok()
        };
        names.into_iter().filter_map(|name| size(&name).map(|size| (name, size))).collect()
    }

    /// For each hook, the seconds spent in its program and how often it ran. The kernel counts where
    /// `kernel.bpf_stats_enabled` is 1.
    #[must_use]
    pub fn runs(&self) -> Vec<(&'static str, f64, u64)> {
        let links = pins::links(&self.at, self.record.generation);
        let hooks = self.kernel.hooks().iter();
        let of = |hook: &&'static str| Some((program_of(&links.join(hook))?, *hook));
        let ours: HashMap<u32, &'static str> = hooks.filter_map(of).collect();
        let mut found = Vec::new();
        for info in loaded_programs().flatten() {
            if let Some(hook) = ours.get(&info.id()) {
                found.push((*hook, info.run_time().as_secs_f64(), info.run_count()));
            }
        }
        found
    }
}

/// Ids of the programs behind a set of links.
#[must_use]
pub fn programs(links: &Path) -> Vec<u32> {
    let names = pins::names(links).unwrap_or_default();
    names.iter().filter_map(|name| program_of(&links.join(name))).collect()
}

/// Whether any of these programs is in the kernel still. One whose last pin has gone judges on for a
/// moment: the kernel lets go of it in a worker (`kernel/bpf/inode.c:bpf_free_inode`,
/// `kernel/bpf/syscall.c:bpf_link_put`).
#[must_use]
pub fn any_loaded(programs: &[u32]) -> bool {
    loaded_programs().flatten().any(|info| programs.contains(&info.id()))
}

/// A directory with nothing of anybody's in it gets its record.
fn begin(at: &Path, record: &Record) -> Result<RecordMap, KernelError> {
    if !pins::generations(at)?.is_empty() {
        return Err(strange(at, format!("there are links and no {NAME}")));
    }
    // Maps of a beginning that was cut short: nothing is attached, so nothing bears a tag.
    pins::remove(at)?;
    pins::make(at)?;
    RecordMap::create(&at.join(NAME), record)
}

fn check_abi(at: &Path, record: &Record) -> Result<(), KernelError> {
    if record.abi == sensor_ebpf::ABI_VERSION {
        return Ok(());
    }
    let what = format!("its interface is {}, ours {}", record.abi, sensor_ebpf::ABI_VERSION);
    Err(KernelError::Foreign { at: at.to_owned(), version: record.version(), what })
}

/// The first hook whose link is not in a set.
fn missing(kernel: &Kernel, links: &Path) -> Option<&'static str> {
    kernel.permanent().into_iter().find(|hook| !is_link(&links.join(hook)))
}

fn is_link(pin: &Path) -> bool {
    program_of(pin).is_some()
}

fn program_of(pin: &Path) -> Option<u32> {
    let link: FdLink = PinnedLink::from_pin(pin).ok()?.into();
    Some(link.info().ok()?.program_id())
}
