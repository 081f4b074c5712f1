//! Brings the programs into the kernel, and is the handle through which the rest of the crate
//! talks to them.

use std::path::{Path, PathBuf};

use aya::maps::{MapData, MapInfo, RingBuf};
use aya::programs::Lsm;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::lsm::LsmLinkId;
use aya::{Btf, Ebpf, EbpfLoader};
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::tag::{Agent, Tag};

use super::layout::BtfFields;
use super::maps::{self, Maps, OF_ONE_SET, Table};
use super::object::OBJECT;
use super::sys::LayoutGlobal;

pub use super::error::KernelError;
pub use super::maps::Tags;
pub use super::object::has_programs;
pub use super::pins::Pins;

/// A kernel side. Dropping it takes the programs off, unless they are pinned.
pub struct Kernel {
    /// The programs, where this process loaded them.
    ebpf: Option<Ebpf>,
    /// The hooks that this kernel has, in attach order.
    hooks: Vec<&'static str>,
    maps: Maps,
    /// Tables made so far, where nobody else counts: each gets a number of its own.
    installed: u32,
    /// What keeps the programs attached if this process dies. Before the links: a pin is removed
    /// while the programs are still attached, never the other way round.
    pins: Option<Pins>,
    links: Vec<PinnedLink>,
    /// Hooks of [`Hook::ON_DEMAND`] that are attached.
    armed: Vec<(Hook, LsmLinkId)>,
}

impl Kernel {
    /// Loads and verifies every program, and attaches none.
    pub fn load() -> Result<Kernel, KernelError> {
        Kernel::load_over(None)
    }

    /// The same, over the maps that are pinned in a directory; those that are not are made and
    /// pinned.
    pub(super) fn load_over(pinned: Option<&Path>) -> Result<Kernel, KernelError> {
        Kernel::load_some(pinned, |_| true)
    }

    /// The same for some of the programs only.
    pub(super) fn load_some(
        pinned: Option<&Path>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Kernel, KernelError> {
        if !has_programs() {
            return Err(KernelError::NoPrograms);
        }
        let fields = BtfFields::of_this_kernel()?;
        let layout = LayoutGlobal(fields.layout()?);
        let btf = Btf::from_sys_fs()?;
        let mut loader = EbpfLoader::new();
        loader.btf(Some(&btf)).allow_unsupported_maps().override_global("LAYOUT", &layout, true);
        let names: Vec<(String, PathBuf)> = match pinned {
            Some(at) => shared_maps(at)?,
            None => Vec::new(),
        };
        for (name, at) in &names {
            loader.map_pin_path(name, at.as_path());
        }
        let mut ebpf = loader.load(OBJECT)?;
        let hooks = hooks(&fields);
        for hook in hooks.iter().copied().filter(|hook| wanted(hook)) {
            let failed = |source| KernelError::Program { step: "load", hook, source };
            program(&mut ebpf, hook)?
                .load(Hook::point(hook), &btf)
                .map_err(Box::new)
                .map_err(failed)?;
        }
        let maps = Maps::new(|name| {
            ebpf.take_map(name).and_then(maps::data).ok_or(KernelError::Missing(name))
        })?;
        Ok(Kernel {
            ebpf: Some(ebpf),
            hooks,
            maps,
            installed: 0,
            pins: None,
            links: Vec::new(),
            armed: Vec::new(),
        })
    }

    /// What an earlier process pinned and is in force.
    pub(super) fn pinned(at: &Path) -> Result<Kernel, KernelError> {
        Ok(Kernel {
            ebpf: None,
            hooks: hooks(&BtfFields::of_this_kernel()?),
            maps: Maps::pinned(at)?,
            installed: 0,
            pins: None,
            links: Vec::new(),
            armed: Vec::new(),
        })
    }

    /// Attaches every program. Until then nothing is enforced and nothing may be tagged.
    pub fn attach(&mut self) -> Result<(), KernelError> {
        for hook in self.permanent() {
            attach_one(self.ebpf()?, hook)?;
        }
        self.stand_guard()
    }

    /// Marks this process as Picket's own, so that no agent may act on it.
    pub(super) fn stand_guard(&self) -> Result<(), KernelError> {
        let failed = |source| KernelError::Call { what: "mark this process as picket's", source };
        self.tags()?.tag_self(Tag::SENTRY).map_err(failed)
    }

    /// Attaches every program and pins the links in a new directory of a BPF file system, which is
    /// removed when this is dropped. If this process is killed, nothing is dropped: the programs
    /// stay attached, and every tagged task stays inside its fence.
    pub fn attach_pinned(&mut self, pins: Pins) -> Result<(), KernelError> {
        let at = pins.at().to_owned();
        self.pins = Some(pins);
        self.links = self.pin_links(&at)?;
        self.stand_guard()
    }

    /// Attaches every program and pins the links in a directory. They stay as long as the pins do.
    pub(super) fn pin_links(&mut self, at: &Path) -> Result<Vec<PinnedLink>, KernelError> {
        self.pin_some(at, &self.permanent())
    }

    /// The same for some of them.
    pub(super) fn pin_some(
        &mut self,
        at: &Path,
        hooks: &[&'static str],
    ) -> Result<Vec<PinnedLink>, KernelError> {
        let mut links = Vec::new();
        for hook in hooks.iter().copied() {
            let ebpf = self.ebpf()?;
            let id = attach_one(ebpf, hook)?;
            let failed = |source| KernelError::Program { step: "attach", hook, source };
            let link = program(ebpf, hook)?.take_link(id).map_err(Box::new);
            let link: FdLink = link.map_err(failed)?.into();
            let at = at.join(hook);
            links.push(link.pin(&at).map_err(|source| KernelError::Pin { at, source })?);
        }
        Ok(links)
    }

    /// The hooks of [`Hook::ON_DEMAND`] that this kernel has.
    pub(super) fn on_demand(&self) -> Vec<&'static str> {
        let permanent = self.permanent();
        self.hooks.iter().copied().filter(|hook| !permanent.contains(hook)).collect()
    }

    /// The hooks that are attached from first to last.
    pub(super) fn permanent(&self) -> Vec<&'static str> {
        let on_demand = |name: &&str| Hook::from_name(name).is_some_and(Hook::is_on_demand);
        self.hooks.iter().copied().filter(|name| !on_demand(name)).collect()
    }

    /// Attaches the hooks of [`Hook::ON_DEMAND`], which each read and write on the machine runs
    /// through from then on, until [`disarm`](Self::disarm) or until this is dropped. To be called
    /// before the first agent gets [`CUT_OFF`](sensor_ebpf::tag::CUT_OFF). Takes the programs, so it
    /// is no use after [`let_go`](Self::let_go).
    pub fn arm(&mut self) -> Result<(), KernelError> {
        for hook in Hook::ON_DEMAND {
            let Some(name) = hook.name().filter(|name| self.hooks.contains(name)) else { continue };
            if self.armed.iter().all(|(armed, _)| armed != hook) {
                let link = attach_one(self.ebpf()?, name)?;
                self.armed.push((*hook, link));
            }
        }
        Ok(())
    }

    /// Takes off again what [`arm`](Self::arm) has attached.
    pub fn disarm(&mut self) -> Result<(), KernelError> {
        while let Some((hook, link)) = self.armed.pop() {
            let name = hook.name().ok_or(KernelError::Missing("hook"))?;
            let failed = |source| KernelError::Program { step: "detach", hook: name, source };
            program(self.ebpf()?, name)?.detach(link).map_err(Box::new).map_err(failed)?;
        }
        Ok(())
    }

    /// Lets go of the programs, which their pins keep. What only loading takes is a lot of memory.
    pub(super) fn let_go(&mut self) {
        self.armed.clear();
        self.ebpf = None;
        self.links.clear();
    }

    fn ebpf(&mut self) -> Result<&mut Ebpf, KernelError> {
        self.ebpf.as_mut().ok_or(KernelError::Missing("programs"))
    }

    /// The maps.
    #[must_use]
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// Puts a policy table into a slot, under an id that this process has not used yet. Programs
    /// under way finish with the table that they began with; when this returns, none uses it any
    /// more.
    pub fn install_policy(&mut self, slot: u32, table: &[u16]) -> Result<(), KernelError> {
        self.installed = self.installed.checked_add(1).ok_or(KernelError::Full("policy"))?;
        let table: Table = self.maps.make_table(self.installed, table)?;
        self.maps.put_table(slot, &table)
    }

    /// Gives an agent slot to a new agent under the policy in `policy`.
    pub fn add_agent(&mut self, slot: u32, policy: u32, epoch: u32) -> Result<Tag, KernelError> {
        let tag = Tag { agent: slot, epoch };
        self.maps.set_agent(tag, policy)?;
        Ok(tag)
    }

    /// An agent's slot as it is now, with the kernel's counters.
    pub fn agent(&self, slot: u32) -> Result<Agent, KernelError> {
        self.maps.agent(slot)
    }

    /// A descriptor of the map of tags, to set and read them with.
    pub fn tags(&self) -> Result<Tags, KernelError> {
        self.maps.tags()
    }

    /// The kernel programs' traces, to be flushed into the process's logger.
    #[cfg(feature = "kernel-trace")]
    pub fn take_traces(
        &mut self,
    ) -> Result<aya_log::EbpfLogger<&'static dyn log::Log>, KernelError> {
        aya_log::EbpfLogger::init(self.ebpf()?).map_err(|_| KernelError::Missing("AYA_LOGS"))
    }

    /// The event ring; there is one reader.
    pub fn take_events(&mut self) -> Result<RingBuf<MapData>, KernelError> {
        self.maps.take_events()
    }

    /// Every fault counter that is not 0, summed over the CPUs.
    pub fn faults(&self) -> Result<Vec<(Hook, Fault, u64)>, KernelError> {
        self.maps.faults()
    }

    /// The hooks that this kernel has, in attach order.
    #[must_use]
    pub fn hooks(&self) -> &[&'static str] {
        &self.hooks
    }

    /// How many instructions the verifier walked for each program, in attach order.
    pub fn verified(&self) -> Result<Vec<(&'static str, u32)>, KernelError> {
        let mut counts = Vec::new();
        let ebpf = self.ebpf.as_ref().ok_or(KernelError::Missing("programs"))?;
        for hook in self.hooks.iter().copied() {
            let program = ebpf.program(hook).ok_or(KernelError::Missing(hook))?;
            let failed = |source| KernelError::Program { step: "inspect", hook, source };
            let info = program.info().map_err(Box::new).map_err(failed)?;
            counts.push((hook, info.verified_instruction_count().unwrap_or(0)));
        }
        Ok(counts)
    }
}

/// The hooks of [`Hook::ALL`] that this kernel has. One that must be there and is not fails in
/// loading, with the hook's name.
pub(super) fn hooks(fields: &BtfFields) -> Vec<&'static str> {
    let known =
        |(hook, name): &&(Hook, &str)| hook.since().is_none() || fields.has_hook(Hook::point(name));
    Hook::ALL.iter().filter(known).map(|(_, name)| *name).collect()
}

/// The maps of the object that outlive one set of programs, with where each is pinned. Those that
/// are pinned already must be as the object wants them.
fn shared_maps(at: &Path) -> Result<Vec<(String, PathBuf)>, KernelError> {
    let object = aya_obj::Object::parse(OBJECT).map_err(aya::EbpfError::from)?;
    let mut found = Vec::new();
    for (name, map) in &object.maps {
        // Sections of the object (`.rodata`) are maps with a dot.
        if name.starts_with('.') || name == "AYA_LOGS" || OF_ONE_SET.contains(&name.as_str()) {
            continue;
        }
        let pin = at.join(name);
        if pin.exists() {
            let is = MapInfo::from_pin(&pin)
                .map_err(|error| strange(at, format!("map {name}: {error}")))?;
            // The kernel rounds neither of these; entries of a ring may be rounded up by the loader.
            let wanted = [map.map_type(), map.key_size(), map.value_size()];
            let kind = is.map_type().map_or(u32::MAX, |kind| kind as u32);
            if [kind, is.key_size(), is.value_size()] != wanted {
                let what = format!("its map {name} has another shape");
                return Err(strange(at, what));
            }
        }
        found.push((name.clone(), pin));
    }
    Ok(found)
}

/// The error of pins that do not fit.
pub(super) fn strange(at: &Path, what: String) -> KernelError {
    KernelError::Strange { at: at.to_owned(), what }
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
