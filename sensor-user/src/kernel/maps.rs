//! The maps of a kernel side, made by this process or by one before it: agents, policies, tags,
//! faults, events.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use aya::maps::{Map, MapData, MapError, RingBuf};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;
use sensor_ebpf::hook::{FAULT_SLOTS, Fault, Hook};
use sensor_ebpf::limits::{AGENTS_MAX, POLICIES_MAX, TABLE_CELLS};
use sensor_ebpf::table::{Cells as _, H_ID, put_long};
use sensor_ebpf::tag::{Agent, Tag};

use super::error::KernelError;
use super::rules::RuleMaps;
use super::sys::{self, AgentCell, Shared};

// What userspace has to do with.
const AGENTS: &str = "AGENTS";
const POLICIES: &str = "POLICIES";
const TAGS: &str = "TAGS";
const FAULTS: &str = "FAULTS";
/// The event ring.
pub const EVENTS: &str = "EVENTS";
/// Maps of one set of programs, which keep nothing that another set would miss. Everything else
/// outlives the set.
pub const OF_ONE_SET: [&str; 2] = ["SCRATCH", "SCRATCH_PEER"];

/// The maps.
pub struct Maps {
    agents: Shared<AgentCell>,
    policies: MapData,
    tags: MapData,
    faults: MapData,
    rules: RuleMaps,
    /// Until somebody reads it.
    events: Option<MapData>,
}

impl Maps {
    /// The maps that `take` finds by name.
    pub fn new(
        mut take: impl FnMut(&'static str) -> Result<MapData, KernelError>,
    ) -> Result<Maps, KernelError> {
        let agents = take(AGENTS)?;
        let agents = Shared::map(agents.fd().as_fd(), AGENTS_MAX as usize)
            .map_err(|source| KernelError::Call { what: "map the agents into memory", source })?;
        Ok(Maps {
            agents,
            policies: take(POLICIES)?,
            tags: take(TAGS)?,
            faults: take(FAULTS)?,
            rules: RuleMaps::new(&mut take)?,
            events: Some(take(EVENTS)?),
        })
    }

    /// The maps that are pinned in a directory.
    pub fn pinned(at: &Path) -> Result<Maps, KernelError> {
        Maps::new(|name| MapData::from_pin(at.join(name)).map_err(wrong(name)))
    }

    /// Makes a table, which no program uses yet.
    pub fn make_table(&self, id: u32, table: &[u16]) -> Result<Table, KernelError> {
        if table.len() > TABLE_CELLS {
            return Err(KernelError::Full("policy"));
        }
        let mut cells = vec![0_u16; TABLE_CELLS];
        cells[..table.len()].copy_from_slice(table);
        put_long(&mut cells, H_ID, id);
        let failed = |what| move |source| KernelError::Call { what, source };
        let size = (TABLE_CELLS * size_of::<u16>()) as u32;
        let map = sys::create_map(BPF_MAP_TYPE_ARRAY, "policy", size, 1, 0)
            .map_err(failed("make room for a policy table"))?;
        sys::update(map.as_fd(), &0_u32, &cells).map_err(failed("write a policy table"))?;
        Ok(Table(map))
    }

    /// Puts a table into a slot. Programs under way finish with the table that they began with;
    /// when this returns, none uses it any more, and none still acts for an agent that was moved
    /// away before (the kernel waits for a grace period after changing a map of maps).
    pub fn put_table(&self, slot: u32, table: &Table) -> Result<(), KernelError> {
        if slot >= POLICIES_MAX {
            return Err(KernelError::Full("policy"));
        }
        sys::update(self.policies.fd().as_fd(), &slot, &[table.0.as_raw_fd()])
            .map_err(|source| KernelError::Call { what: "install a policy table", source })
    }

    /// Takes a table out of its slot. No agent may be under it, nor have been since the last
    /// [`put_table`](Self::put_table).
    pub fn clear_table(&self, slot: u32) -> Result<(), KernelError> {
        match sys::delete(self.policies.fd().as_fd(), &slot) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            done => {
                done.map_err(|source| KernelError::Call { what: "take a policy table out", source })
            }
        }
    }

    /// Id of the table in a slot ([`H_ID`]); `None` if there is none.
    pub fn table_id(&self, slot: u32) -> Result<Option<u32>, KernelError> {
        let failed = |source| KernelError::Call { what: "look at a policy slot", source };
        let found = sys::lookup::<u32, u32>(self.policies.fd().as_fd(), &slot).map_err(failed)?;
        let Some(map) = found else { return Ok(None) };
        let map = MapData::from_id(map).map_err(wrong(POLICIES))?;
        let mut cells = vec![0_u16; TABLE_CELLS];
        sys::lookup_into_slice(map.fd().as_fd(), &0_u32, &mut cells).map_err(failed)?;
        Ok(Some(cells.as_slice().long(H_ID)))
    }

    /// Waits until no program that is under way now is any more: changing a map of maps does, also
    /// where nothing is changed. Slot 0 is written to itself, or an empty one emptied.
    pub fn wait_for_programs(&self) -> Result<(), KernelError> {
        let failed = |source| KernelError::Call { what: "wait for programs under way", source };
        let outer = self.policies.fd().as_fd();
        for slot in 0..POLICIES_MAX {
            if let Some(id) = sys::lookup::<u32, u32>(outer, &slot).map_err(failed)? {
                let map = MapData::from_id(id).map_err(wrong(POLICIES))?;
                let fd = map.fd().as_fd().as_raw_fd();
                return sys::update(outer, &slot, &[fd]).map_err(failed);
            }
        }
        Ok(())
    }

    /// Gives a free slot to an agent under the policy in slot `policy`.
    pub fn set_agent(&self, tag: Tag, policy: u32) -> Result<(), KernelError> {
        let cell = self.cell(tag.agent)?;
        cell.policy.store(policy, Relaxed);
        cell.flags.store(0, Relaxed);
        cell.next_seq.store(0, Relaxed);
        cell.lost.store(0, Relaxed);
        // Last: until then the slot is nobody's.
        cell.epoch.store(tag.epoch, Release);
        Ok(())
    }

    /// Puts an agent under the policy in another slot. What its processes are doing just now is
    /// judged by one of the two as a whole.
    pub fn move_agent(&self, tag: Tag, policy: u32) -> Result<(), KernelError> {
        self.cell(tag.agent)?.policy.store(policy, Release);
        Ok(())
    }

    /// Sets an agent's flags (`sensor_ebpf::tag`).
    pub fn set_flags(&self, tag: Tag, flags: u32) -> Result<(), KernelError> {
        self.cell(tag.agent)?.flags.store(flags, Release);
        Ok(())
    }

    /// Makes a slot nobody's. What still bears its tag is refused everything.
    pub fn clear_agent(&self, slot: u32) -> Result<(), KernelError> {
        self.cell(slot)?.epoch.store(0, Release);
        Ok(())
    }

    /// An agent's slot as it is now, with the kernel's counters.
    pub fn agent(&self, slot: u32) -> Result<Agent, KernelError> {
        let cell = self.cell(slot)?;
        Ok(Agent {
            epoch: cell.epoch.load(Acquire),
            policy: cell.policy.load(Acquire),
            moves: cell.moves.load(Acquire),
            flags: cell.flags.load(Acquire),
            next_seq: cell.next_seq.load(Acquire),
            lost: cell.lost.load(Acquire),
        })
    }

    fn cell(&self, slot: u32) -> Result<&AgentCell, KernelError> {
        self.agents.values().get(slot as usize).ok_or(KernelError::Full("agent"))
    }

    /// A descriptor of the map of tags, to set and read them with.
    pub fn tags(&self) -> Result<Tags, KernelError> {
        let fd = self.tags.fd().as_fd().try_clone_to_owned();
        let failed = |source| KernelError::Call { what: "duplicate a descriptor", source };
        Ok(Tags(fd.map_err(failed)?))
    }

    /// The event ring; there is one reader.
    pub fn take_events(&mut self) -> Result<RingBuf<MapData>, KernelError> {
        let map = self.events.take().ok_or(KernelError::Missing(EVENTS))?;
        RingBuf::try_from(Map::RingBuf(map)).map_err(wrong(EVENTS))
    }

    /// The maps of the rules for tagging.
    #[must_use]
    pub fn rules(&self) -> &RuleMaps {
        &self.rules
    }

    /// Every fault counter that is not 0, summed over the CPUs.
    pub fn faults(&self) -> Result<Vec<(Hook, Fault, u64)>, KernelError> {
        let failed = |source| KernelError::Call { what: "read the fault counters", source };
        let sums = sys::per_cpu_sums(self.faults.fd().as_fd(), FAULT_SLOTS).map_err(failed)?;
        let counted = (0..FAULT_SLOTS).zip(sums).filter(|(_, count)| *count > 0);
        let named = |(slot, count)| (Hook(slot / Fault::MAX), Fault(slot % Fault::MAX), count);
        Ok(counted.map(named).collect())
    }
}

/// What a map turned out to be, where it is not what it should be.
pub fn wrong(map: &'static str) -> impl FnOnce(MapError) -> KernelError {
    move |source| KernelError::Map { map, source: Box::new(source) }
}

/// The data of any map.
pub fn data(map: Map) -> Option<MapData> {
    match map {
        Map::Array(data)
        | Map::ArrayOfMaps(data)
        | Map::HashMap(data)
        | Map::PerCpuArray(data)
        | Map::RingBuf(data)
        | Map::Unsupported(data) => Some(data),
        _ => None,
    }
}

/// A policy table in a map of its own.
#[derive(Debug)]
pub struct Table(OwnedFd);

/// The map of tags.
#[derive(Debug)]
pub struct Tags(OwnedFd);

impl Tags {
    /// Tags the calling process. Meant for the child between `fork` and `exec`: async-signal-safe,
    /// and it allocates nothing.
    pub fn tag_self(&self, tag: Tag) -> io::Result<()> {
        // SAFETY: takes and returns integers.
        let process = sys::pidfd_open(unsafe { libc::getpid() })?;
        self.set(process.as_fd(), tag)
    }

    /// Tags a process, by its pidfd: its first thread, which is all of a process that waits to
    /// begin.
    pub fn set(&self, process: BorrowedFd<'_>, tag: Tag) -> io::Result<()> {
        sys::update(self.0.as_fd(), &process.as_raw_fd(), &[tag])
    }

    /// The tag of a process, by its pidfd.
    pub fn of(&self, process: BorrowedFd<'_>) -> io::Result<Option<Tag>> {
        sys::lookup::<RawFd, Tag>(self.0.as_fd(), &process.as_raw_fd())
    }
}
