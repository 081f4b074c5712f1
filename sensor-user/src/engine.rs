//! The engine: agents and their policies over one loaded kernel side. `picket run` holds one for as
//! long as its command runs; a daemon can hold one for all.

pub mod stream;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::tag::{Agent, Tag};

use crate::event::{Context, Event, Rule};
use crate::kernel::load::{Kernel, KernelError, Pins, Tags};
use crate::policy::Compiled;
use stream::Stream;

/// Agents, their policies, and the kernel side that enforces them.
pub struct Engine {
    kernel: Kernel,
    agents: Vec<Named>,
}

/// An agent that was added.
struct Named {
    name: String,
    policy: Compiled,
    tag: Tag,
}

impl Engine {
    /// Loads the kernel side. Nothing is attached yet.
    pub fn load() -> Result<Engine, KernelError> {
        Ok(Engine { kernel: Kernel::load()?, agents: Vec::new() })
    }

    /// Adds an agent under a policy of its own; the tag makes a process one of it. The table is in
    /// place before there is a tag that needs it.
    pub fn add(&mut self, name: String, policy: Compiled) -> Result<Tag, KernelError> {
        let slot = self.agents.len() as u32;
        self.kernel.install_policy(slot, &policy.table)?;
        // Slots are never used twice in the life of an engine, so one epoch does.
        let tag = self.kernel.add_agent(slot, slot, 1)?;
        self.agents.push(Named { name, policy, tag });
        Ok(tag)
    }

    /// Gives an agent another policy. What its processes are doing just now is judged by one of the
    /// two as a whole; when this returns, by the new one.
    pub fn replace(&mut self, tag: Tag, policy: Compiled) -> Result<(), KernelError> {
        let agent = self.agents.iter_mut().find(|agent| agent.tag == tag);
        let agent = agent.ok_or(KernelError::NoAgent(tag))?;
        self.kernel.install_policy(tag.agent, &policy.table)?;
        agent.policy = policy;
        Ok(())
    }

    /// Attaches every hook: from here on tags have effect.
    pub fn attach(&mut self) -> Result<(), KernelError> {
        self.kernel.attach()
    }

    /// As [`attach`](Self::attach), and so that the fence stays up if this process is killed.
    pub fn attach_pinned(&mut self, pins: Pins) -> Result<(), KernelError> {
        self.kernel.attach_pinned(pins)
    }

    /// The map to tag processes with.
    pub fn tags(&self) -> Result<Tags, KernelError> {
        self.kernel.tags()
    }

    /// The events of every agent. There is one stream.
    pub fn stream(&mut self) -> Result<Stream, KernelError> {
        #[cfg(feature = "kernel-trace")]
        stream::follow_traces(&mut self.kernel)?;
        Stream::new(self.kernel.take_events()?)
    }

    /// What is known about an event's agent and rule; `None` for an agent that is not ours.
    #[must_use]
    pub fn context(&self, event: &Event) -> Option<Context<'_>> {
        let of = |agent: &&Named| {
            (agent.tag.agent, agent.tag.epoch) == (event.header.agent, event.header.epoch)
        };
        let agent = self.agents.iter().find(of)?;
        let rule = agent.policy.rule(event.header.rule).map(|rule| Rule {
            file: &rule.file,
            line: rule.line,
            reason: rule.reason.as_deref(),
        });
        Some(Context { agent: &agent.name, policy: &agent.policy.name, rule })
    }

    /// An agent's counters, as the kernel keeps them.
    pub fn counters(&self, tag: Tag) -> Result<Agent, KernelError> {
        self.kernel.agent(tag.agent)
    }

    /// How many instructions the verifier walked for each program, in attach order.
    pub fn verified(&self) -> Result<Vec<(&'static str, u32)>, KernelError> {
        self.kernel.verified()
    }

    /// Faults since loading.
    pub fn faults(&self) -> Result<Vec<(Hook, Fault, u64)>, KernelError> {
        self.kernel.faults()
    }
}
