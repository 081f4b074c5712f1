//! Brings the programs into the kernel, and is the handle through which the rest of the crate
//! talks to them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use aya::maps::{Array, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::pin::PinError;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::lsm::LsmLinkId;
use aya::programs::{Lsm, ProgramError};
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;
use sensor_ebpf::hook::{FAULT_SLOTS, Fault, Hook};
use sensor_ebpf::limits::{AGENTS_MAX, POLICIES_MAX, TABLE_WORDS};
use sensor_ebpf::table::H_ID;
use sensor_ebpf::tag::{Agent, Tag};

use super::layout::{BtfFields, LayoutError};
use super::sys::{self, AgentValue, LayoutGlobal};

/// The kernel programs, as `build.rs` left them.
#[cfg(picket_bpf_object)]
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/picket.bpf.o"));
/// A build without the BPF toolchain carries no programs.
#[cfg(not(picket_bpf_object))]
static OBJECT: &[u8] = &[];

/// Whether this build carries kernel programs.
#[must_use]
pub fn has_programs() -> bool {
    !OBJECT.is_empty()
}

/// Why the kernel side could not be brought up, or answered with an error later.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The build has no kernel programs.
    #[error(
        "this picket was built without its kernel programs; build it with `cargo xtask setup` done, see the README"
    )]
    NoPrograms,
    /// The kernel's layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The object or one of its maps.
    #[error("cannot load the kernel programs: {0}")]
    Object(#[from] EbpfError),
    /// The kernel's type information, as the loader reads it.
    #[error("cannot read the kernel's type information: {0}")]
    Btf(#[from] aya::BtfError),
    /// One program.
    #[error("cannot {step} the program for {hook}: {source}")]
    Program {
        /// `load` or `attach`.
        step: &'static str,
        /// The hook.
        hook: &'static str,
        /// With the verifier's log.
        source: Box<ProgramError>,
    },
    /// A map or program that the object should have.
    #[error("the kernel programs have no {0}; this picket was built from mismatched parts")]
    Missing(&'static str),
    /// A map of another kind or size than expected.
    #[error("map {map}: {source}")]
    Map {
        /// The map.
        map: &'static str,
        /// Why.
        source: Box<MapError>,
    },
    /// A system call on a map.
    #[error("cannot {what}: {source}")]
    Call {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A tag that no agent has.
    #[error("there is no agent {}", .0.agent)]
    NoAgent(Tag),
    /// A link that could not be pinned.
    #[error("cannot pin a program at {at}: {source}")]
    Pin {
        /// Where.
        at: PathBuf,
        /// Why.
        source: PinError,
    },
    /// A slot number beyond the map.
    #[error("no room for another {0}")]
    Full(&'static str),
}

/// The loaded kernel side. Dropping it takes the programs off.
pub struct Kernel {
    ebpf: Ebpf,
    /// The hooks that this kernel has, in attach order.
    hooks: Vec<&'static str>,
    /// Tables installed so far: each gets a number of its own.
    installed: u32,
    /// What keeps the programs attached if this process dies. Before the links: a pin is removed
    /// while the programs are still attached, never the other way round.
    pins: Option<Pins>,
    links: Vec<PinnedLink>,
}

impl Kernel {
    /// Loads and verifies every program, and attaches none.
    pub fn load() -> Result<Kernel, KernelError> {
        if !has_programs() {
            return Err(KernelError::NoPrograms);
        }
        let fields = BtfFields::of_this_kernel()?;
        let layout = LayoutGlobal(fields.layout()?);
        let btf = Btf::from_sys_fs()?;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .allow_unsupported_maps()
            .override_global("LAYOUT", &layout, true)
            .load(OBJECT)?;
        // A hook that must be there and is not fails in loading, with the hook's name.
        let hooks: Vec<&str> = Hook::ALL
            .iter()
            .filter(|(hook, name)| hook.since().is_none() || fields.has_hook(name))
            .map(|(_, name)| *name)
            .collect();
        for hook in hooks.iter().copied() {
            let failed = |source| KernelError::Program { step: "load", hook, source };
            program(&mut ebpf, hook)?.load(hook, &btf).map_err(Box::new).map_err(failed)?;
        }
        Ok(Kernel { ebpf, hooks, installed: 0, pins: None, links: Vec::new() })
    }

    /// Attaches every program. Until then nothing is enforced and nothing may be tagged.
    pub fn attach(&mut self) -> Result<(), KernelError> {
        for hook in self.hooks.iter().copied() {
            attach_one(&mut self.ebpf, hook)?;
        }
        Ok(())
    }

    /// Attaches every program and pins the links in a new directory of a BPF file system, which is
    /// removed when this is dropped. If this process is killed, nothing is dropped: the programs
    /// stay attached, and every tagged task stays inside its fence.
    pub fn attach_pinned(&mut self, pins: Pins) -> Result<(), KernelError> {
        let pins = self.pins.insert(pins);
        for hook in self.hooks.iter().copied() {
            let id = attach_one(&mut self.ebpf, hook)?;
            let failed = |source| KernelError::Program { step: "attach", hook, source };
            let link = program(&mut self.ebpf, hook)?.take_link(id).map_err(Box::new);
            let link: FdLink = link.map_err(failed)?.into();
            let at = pins.0.join(hook);
            let link = link.pin(&at).map_err(|source| KernelError::Pin { at, source })?;
            self.links.push(link);
        }
        Ok(())
    }

    /// Puts a policy table into a slot. Programs under way finish with the table that they began
    /// with; when this returns, none uses it any more.
    pub fn install_policy(&mut self, slot: u32, table: &[u32]) -> Result<(), KernelError> {
        if slot >= POLICIES_MAX || table.len() > TABLE_WORDS {
            return Err(KernelError::Full("policy"));
        }
        let mut words = vec![0_u32; TABLE_WORDS];
        words[..table.len()].copy_from_slice(table);
        self.installed = self.installed.checked_add(1).ok_or(KernelError::Full("policy"))?;
        words[H_ID as usize] = self.installed;
        let failed = |what| move |source| KernelError::Call { what, source };
        let inner = sys::create_map(BPF_MAP_TYPE_ARRAY, "policy", (TABLE_WORDS * 4) as u32, 1)
            .map_err(failed("make room for a policy table"))?;
        sys::update(inner.as_fd(), &0_u32, &words).map_err(failed("write a policy table"))?;
        let outer = self.fd("POLICIES")?;
        sys::update(outer, &slot, &[inner.as_raw_fd()]).map_err(failed("install a policy table"))
    }

    /// Gives an agent slot to a new agent under the policy in `policy`.
    pub fn add_agent(&mut self, slot: u32, policy: u32, epoch: u32) -> Result<Tag, KernelError> {
        if slot >= AGENTS_MAX {
            return Err(KernelError::Full("agent"));
        }
        let agent = Agent { epoch, policy, ..Agent::default() };
        let map = self.ebpf.map_mut("AGENTS").ok_or(KernelError::Missing("AGENTS"))?;
        let mut agents = Array::<_, AgentValue>::try_from(map).map_err(wrong("AGENTS"))?;
        agents.set(slot, AgentValue(agent), 0).map_err(wrong("AGENTS"))?;
        Ok(Tag { agent: slot, epoch })
    }

    /// An agent's slot as it is now, with the kernel's counters.
    pub fn agent(&self, slot: u32) -> Result<Agent, KernelError> {
        let map = self.ebpf.map("AGENTS").ok_or(KernelError::Missing("AGENTS"))?;
        let agents = Array::<_, AgentValue>::try_from(map).map_err(wrong("AGENTS"))?;
        Ok(agents.get(&slot, 0).map_err(wrong("AGENTS"))?.0)
    }

    /// A descriptor of the map of tags, to set and read them with.
    pub fn tags(&self) -> Result<Tags, KernelError> {
        let fd = self.fd("TAGS")?.try_clone_to_owned();
        let failed = |source| KernelError::Call { what: "duplicate a descriptor", source };
        Ok(Tags(fd.map_err(failed)?))
    }

    /// The kernel programs' traces, to be flushed into the process's logger.
    #[cfg(feature = "kernel-trace")]
    pub fn take_traces(
        &mut self,
    ) -> Result<aya_log::EbpfLogger<&'static dyn log::Log>, KernelError> {
        aya_log::EbpfLogger::init(&mut self.ebpf).map_err(|_| KernelError::Missing("AYA_LOGS"))
    }

    /// The event ring; there is one reader.
    pub fn take_events(&mut self) -> Result<RingBuf<MapData>, KernelError> {
        let map = self.ebpf.take_map("EVENTS").ok_or(KernelError::Missing("EVENTS"))?;
        RingBuf::try_from(map).map_err(wrong("EVENTS"))
    }

    /// Every fault counter that is not 0, summed over the CPUs.
    pub fn faults(&self) -> Result<Vec<(Hook, Fault, u64)>, KernelError> {
        let map = self.ebpf.map("FAULTS").ok_or(KernelError::Missing("FAULTS"))?;
        let counters = PerCpuArray::<_, u64>::try_from(map).map_err(wrong("FAULTS"))?;
        let mut found = Vec::new();
        for slot in 0..FAULT_SLOTS {
            let count = counters.get(&slot, 0).map_err(wrong("FAULTS"))?.iter().sum();
            if count > 0 {
                found.push((Hook(slot / Fault::MAX), Fault(slot % Fault::MAX), count));
            }
        }
        Ok(found)
    }

    /// The hooks that this kernel has, in attach order.
    #[must_use]
    pub fn hooks(&self) -> &[&'static str] {
        &self.hooks
    }

    /// How many instructions the verifier walked for each program, in attach order.
    pub fn verified(&self) -> Result<Vec<(&'static str, u32)>, KernelError> {
        let mut counts = Vec::new();
        for hook in self.hooks.iter().copied() {
            let program = self.ebpf.program(hook).ok_or(KernelError::Missing(hook))?;
            let failed = |source| KernelError::Program { step: "inspect", hook, source };
            let info = program.info().map_err(Box::new).map_err(failed)?;
            counts.push((hook, info.verified_instruction_count().unwrap_or(0)));
        }
        Ok(counts)
    }

    fn fd(&self, name: &'static str) -> Result<BorrowedFd<'_>, KernelError> {
        match self.ebpf.map(name) {
            Some(Map::Unsupported(map) | Map::ArrayOfMaps(map)) => Ok(map.fd().as_fd()),
            _ => Err(KernelError::Missing(name)),
        }
    }
}

fn attach_one(ebpf: &mut Ebpf, hook: &'static str) -> Result<LsmLinkId, KernelError> {
    let failed = |source| KernelError::Program { step: "attach", hook, source };
    program(ebpf, hook)?.attach().map_err(Box::new).map_err(failed)
}

/// The LSM program of a hook.
fn program<'a>(ebpf: &'a mut Ebpf, hook: &'static str) -> Result<&'a mut Lsm, KernelError> {
    let program = ebpf.program_mut(hook).ok_or(KernelError::Missing(hook))?;
    program.try_into().map_err(|_| KernelError::Missing(hook))
}

fn wrong(map: &'static str) -> impl FnOnce(MapError) -> KernelError {
    move |source| KernelError::Map { map, source: Box::new(source) }
}

/// A directory of pinned links, removed with them when it is dropped.
pub struct Pins(PathBuf);

impl Pins {
    /// Makes a directory for the links of this process, `root` and its pid, with a number behind
    /// it if a process of the same pid was killed and left one.
    pub fn create(root: &Path) -> Result<Pins, KernelError> {
        let failed = |source| KernelError::Call { what: "make a directory for pins", source };
        fs::create_dir_all(root).map_err(failed)?;
        let pid = std::process::id();
        for number in 0.. {
            let name = if number == 0 { pid.to_string() } else { format!("{pid}.{number}") };
            let at = root.join(name);
            match fs::create_dir(&at) {
                Ok(()) => return Ok(Pins(at)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(KernelError::Full("directory of pins"))
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        // What cannot be removed stays attached, which is the safe side to fail on.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The map of tags.
pub struct Tags(OwnedFd);

impl Tags {
    /// Tags the calling process. Meant for the child between `fork` and `exec`: async-signal-safe,
    /// and it allocates nothing.
    pub fn tag_self(&self, tag: Tag) -> io::Result<()> {
        // SAFETY: takes and returns integers.
        let process = sys::pidfd_open(unsafe { libc::getpid() })?;
        sys::update(self.0.as_fd(), &process.as_raw_fd(), &[tag])
    }

    /// The tag of a process, by its pidfd.
    pub fn of(&self, process: BorrowedFd<'_>) -> io::Result<Option<Tag>> {
        sys::lookup::<RawFd, Tag>(self.0.as_fd(), &process.as_raw_fd())
    }
}
