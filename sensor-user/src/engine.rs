//! The engine: agents and their policies over one kernel side. `picket run` holds one of its own for
//! as long as its command runs; a daemon holds the machine's.

mod rules;
pub mod slots;
pub mod state;
pub mod stream;
mod switch;
mod take_over;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::limits::AGENTS_MAX;
use sensor_ebpf::tag::{Agent, Tag};

use crate::event::{Context, Event, Rule};
use crate::kernel::adopt::{Arrival, Host};
use crate::kernel::load::{Kernel, KernelError, Pins, Tags};
use crate::kernel::progress::Progress;
use crate::policy::Compiled;
use slots::{Slots, Version};
use state::{AgentFile, Origin, StateDir, StateError};
use stream::Stream;

/// Versions that are kept after no agent is under them: events in the ring may still name them.
const RETIRED_MAX: usize = 256;
/// Agents that are remembered after they were taken away, for the same reason.
const DEPARTED_MAX: usize = 256;

/// Agents, their policies, and the kernel side that enforces them.
pub struct Engine {
    side: Side,
    agents: BTreeMap<u32, AgentFile>,
    slots: Slots,
    /// By table id, those of retired versions too.
    versions: HashMap<u32, Arc<Version>>,
    /// Ids of retired versions, oldest first.
    retired: VecDeque<u32>,
    /// The slot that the next agent gets if it is free; so that slots rest before they are given
    /// away again.
    next_slot: u32,
    /// Agents that are cut off; see [`cut_off`](Engine::cut_off).
    cut_off: HashSet<Tag>,
    /// Agents that were taken away, the last of them at the end: the ring may still name them.
    departed: VecDeque<AgentFile>,
    state: Option<StateDir>,
}

/// Whose kernel side it is.
enum Side {
    /// This process's; epochs and table ids count from 1.
    Own { kernel: Box<Kernel>, epoch: u32, table: u32 },
    /// The machine's.
    Host(Box<Host>),
}

/// Why the engine could not do something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The kernel side.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The state beside it.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Who a new agent is.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Who asks for it.
    pub uid: u32,
    /// Where its policy came from.
    pub origin: Option<Origin>,
    /// The rule for tagging that it is there for.
    pub rule: Option<String>,
}

impl Engine {
    fn over(side: Side, state: Option<StateDir>) -> Engine {
        Engine {
            side,
            agents: BTreeMap::new(),
            slots: Slots::default(),
            versions: HashMap::new(),
            retired: VecDeque::new(),
            next_slot: 0,
            cut_off: HashSet::new(),
            departed: VecDeque::new(),
            state,
        }
    }

    /// Loads a kernel side of this process's own. Nothing is attached yet.
    pub fn load() -> Result<Engine, KernelError> {
        let kernel = Box::new(Kernel::load()?);
        Ok(Engine::over(Side::Own { kernel, epoch: 1, table: 1 }, None))
    }

    /// Brings the machine's kernel side, pinned at `pins`, into force, and takes over the agents that
    /// are in it.
    pub fn host(pins: &Path, state: &Path) -> Result<(Engine, Arrival), EngineError> {
        let state = StateDir::open(state)?;
        let (host, arrival) = Host::open(pins)?;
        if arrival == Arrival::Made {
            state.clear()?;
        }
        let mut engine = Engine::over(Side::Host(Box::new(host)), Some(state));
        engine.take_over()?;
        Ok((engine, arrival))
    }

    /// Adds an agent under a policy; the tag makes a process one of it. The table is in place before
    /// there is a tag that needs it.
    pub fn add(&mut self, name: String, policy: Compiled) -> Result<Tag, EngineError> {
        self.add_agent(Identity { name, ..Identity::default() }, &policy)
    }

    /// The same, with all that is known of it.
    pub fn add_agent(&mut self, who: Identity, policy: &Compiled) -> Result<Tag, EngineError> {
        let slot = self.free_agent_slot().ok_or(KernelError::Full("agent"))?;
        let place = self.place(policy)?;
        let epoch = self.next_epoch()?;
        let table = self.slots.get(place).map_or(0, |slot| slot.version.table);
        let agent = AgentFile {
            slot,
            epoch,
            name: who.name,
            uid: who.uid,
            since: SystemTime::now(),
            table,
            origin: who.origin,
            rule: who.rule,
        };
        if let Some(state) = &self.state {
            state.put_agent(&agent)?;
        }
        if let Some(progress) = self.progress() {
            progress.reset(slot);
        }
        let tag = Tag { agent: slot, epoch };
        self.kernel().maps().set_agent(tag, place)?;
        self.slots.enter(place);
        self.next_slot = (slot + 1) % AGENTS_MAX;
        self.agents.insert(slot, agent);
        Ok(tag)
    }

    /// A slot with this policy in it, shared or new.
    fn place(&mut self, policy: &Compiled) -> Result<u32, EngineError> {
        let digest = slots::digest(policy);
        if let Some(slot) = self.slots.find(&policy.name, &digest) {
            return Ok(slot);
        }
        let slot = self.slots.free().next().ok_or(KernelError::Full("policy"))?;
        let version = Arc::new(Version::new(self.next_table()?, policy));
        let table = self.kernel().maps().make_table(version.table, &policy.table)?;
        if let Some(state) = &self.state {
            state.put_version(&version)?;
        }
        self.kernel().maps().put_table(slot, &table)?;
        self.versions.insert(version.table, version.clone());
        self.slots.put(slot, version);
        Ok(slot)
    }

    /// Takes an agent away that no process bears the tag of any more. One that does all the same is
    /// refused everything from here on.
    pub fn remove(&mut self, tag: Tag) -> Result<(), KernelError> {
        let agent = self.agent_of(tag)?;
        let slot = agent.slot;
        let place = self.kernel().agent(slot)?.policy;
        self.kernel().maps().clear_agent(slot)?;
        if let Some(agent) = self.agents.remove(&slot) {
            self.departed.push_back(agent);
            if self.departed.len() > DEPARTED_MAX {
                self.departed.pop_front();
            }
        }
        self.forget_file(slot);
        if self.cut_off.remove(&tag) && self.cut_off.is_empty() {
            self.disarm()?;
        }
        if self.slots.leave(place) {
            self.vacate(place)?;
        }
        Ok(())
    }

    /// Takes the table out of a slot that nobody is under.
    fn vacate(&mut self, slot: u32) -> Result<(), KernelError> {
        self.kernel().maps().clear_table(slot)?;
        if let Some(version) = self.slots.clear(slot) {
            self.retire(version.table);
        }
        Ok(())
    }

    /// Keeps a version for the events that still name it, and forgets the oldest of those.
    fn retire(&mut self, table: u32) {
        self.retired.push_back(table);
        while self.retired.len() > RETIRED_MAX {
            if let Some(table) = self.retired.pop_front() {
                self.versions.remove(&table);
                if let Some(state) = &self.state {
                    state.remove_version(table);
                }
            }
        }
    }

    fn forget_file(&self, slot: u32) {
        if let Some(state) = &self.state {
            state.remove_agent(slot);
        }
    }

    fn free_agent_slot(&self) -> Option<u32> {
        (self.next_slot..AGENTS_MAX)
            .chain(0..self.next_slot)
            .find(|slot| !self.agents.contains_key(slot))
    }

    fn agent_of(&self, tag: Tag) -> Result<&AgentFile, KernelError> {
        let agent = self.agents.get(&tag.agent).filter(|agent| agent.epoch == tag.epoch);
        agent.ok_or(KernelError::NoAgent(tag))
    }

    fn kernel(&self) -> &Kernel {
        match &self.side {
            Side::Own { kernel, .. } => kernel,
            Side::Host(host) => &host.kernel,
        }
    }

    fn kernel_mut(&mut self) -> &mut Kernel {
        match &mut self.side {
            Side::Own { kernel, .. } => kernel,
            Side::Host(host) => &mut host.kernel,
        }
    }

    /// The machine's kernel side, where it is that.
    #[must_use]
    pub fn as_host(&self) -> Option<&Host> {
        match &self.side {
            Side::Own { .. } => None,
            Side::Host(host) => Some(host),
        }
    }

    /// How far events were passed on, where others will go on with it.
    #[must_use]
    pub fn progress(&self) -> Option<&Progress> {
        self.as_host().map(|host| &host.progress)
    }

    fn next_epoch(&mut self) -> Result<u32, KernelError> {
        match &mut self.side {
            Side::Own { epoch, .. } => Ok(std::mem::replace(epoch, *epoch + 1)),
            Side::Host(host) => host.next_epoch(),
        }
    }

    fn next_table(&mut self) -> Result<u32, KernelError> {
        match &mut self.side {
            Side::Own { table, .. } => Ok(std::mem::replace(table, *table + 1)),
            Side::Host(host) => host.next_table(),
        }
    }

    /// Attaches every hook: from here on tags have effect.
    pub fn attach(&mut self) -> Result<(), KernelError> {
        self.kernel_mut().attach()
    }

    /// As [`attach`](Self::attach), and so that the fence stays up if this process is killed.
    pub fn attach_pinned(&mut self, pins: Pins) -> Result<(), KernelError> {
        self.kernel_mut().attach_pinned(pins)
    }

    /// The map to tag processes with.
    pub fn tags(&self) -> Result<Tags, KernelError> {
        self.kernel().tags()
    }

    /// The events of every agent. There is one stream.
    pub fn stream(&mut self) -> Result<Stream, KernelError> {
        #[cfg(feature = "kernel-trace")]
        if matches!(self.side, Side::Own { .. }) {
            stream::follow_traces(self.kernel_mut())?;
        }
        Stream::new(self.kernel_mut().take_events()?)
    }

    /// What is known about an event's agent and rule; `None` for an agent that is not ours.
    #[must_use]
    pub fn context(&self, event: &Event) -> Option<Context<'_>> {
        let header = &event.header;
        let tag = Tag { agent: header.agent, epoch: header.epoch };
        let departed = || self.departed.iter().find(|agent| agent.tag() == tag);
        let agent = self.agent(tag).or_else(departed)?;
        let table = if header.table == 0 { agent.table } else { header.table };
        let version = self.versions.get(&table);
        let rule = version.and_then(|version| version.rule(header.rule)).map(|rule| Rule {
            file: rule.file.as_str().into(),
            line: rule.line,
            reason: rule.reason.as_deref().map(Into::into),
        });
        let (policy, version) = version
            .map_or(("unknown", ""), |version| (version.policy.as_str(), version.digest.as_str()));
        let owner = self.as_host().map(|_| agent.uid);
        Some(Context { agent: &agent.name, owner, policy, version, rule })
    }

    /// An agent.
    #[must_use]
    pub fn agent(&self, tag: Tag) -> Option<&AgentFile> {
        self.agent_of(tag).ok()
    }

    /// Every agent.
    pub fn agents(&self) -> impl Iterator<Item = &AgentFile> {
        self.agents.values()
    }

    /// Policies in force, with the number of agents under each.
    pub fn policies(&self) -> impl Iterator<Item = (&Version, usize)> {
        self.slots.used().map(|(_, slot)| (&*slot.version, slot.users))
    }

    /// The version with a table id.
    #[must_use]
    pub fn version(&self, table: u32) -> Option<&Version> {
        self.versions.get(&table).map(|version| &**version)
    }

    /// An agent's counters, as the kernel keeps them.
    pub fn counters(&self, tag: Tag) -> Result<Agent, KernelError> {
        self.kernel().agent(tag.agent)
    }

    /// The hooks that this kernel has, in attach order.
    #[must_use]
    pub fn hooks(&self) -> &[&'static str] {
        self.kernel().hooks()
    }

    /// How many instructions the verifier walked for each program, in attach order.
    pub fn verified(&self) -> Result<Vec<(&'static str, u32)>, KernelError> {
        self.kernel().verified()
    }

    /// Faults since loading.
    pub fn faults(&self) -> Result<Vec<(Hook, Fault, u64)>, KernelError> {
        self.kernel().faults()
    }
}
