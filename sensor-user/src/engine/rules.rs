//! What an agent is there for beside its policy: rules for tagging, and being cut off from what was open
//! before.

use std::sync::Arc;

use sensor_ebpf::tag::{CUT_OFF, Tag};

use super::state::{AgentFile, Origin};
use super::{Engine, EngineError, Side};
use crate::kernel::load::KernelError;
use crate::kernel::rules::TagRules;
use crate::policy::Compiled;

impl Engine {
    /// Whether an agent is cut off from what its processes opened before they had its tag. While any is,
    /// every read and write on the machine costs a little more.
    pub fn cut_off(&mut self, tag: Tag, yes: bool) -> Result<(), KernelError> {
        self.agent_of(tag)?;
        if yes {
            match &mut self.side {
                Side::Own { kernel, .. } => kernel.arm()?,
                Side::Host(host) => host.arm()?,
            }
            self.kernel().maps().set_flags(tag, CUT_OFF)?;
            self.cut_off.insert(tag);
            return Ok(());
        }
        self.kernel().maps().set_flags(tag, 0)?;
        if self.cut_off.remove(&tag) && self.cut_off.is_empty() {
            self.disarm()?;
        }
        Ok(())
    }

    /// Takes off what only agents need that are cut off.
    pub(super) fn disarm(&mut self) -> Result<(), KernelError> {
        match &mut self.side {
            Side::Own { kernel, .. } => kernel.disarm(),
            Side::Host(host) => host.disarm(),
        }
    }

    /// Puts an agent under another policy that comes from elsewhere, and gives it another rule for
    /// tagging, or none.
    pub fn settle(
        &mut self,
        tag: Tag,
        policy: &Arc<Compiled>,
        origin: Origin,
        rule: Option<String>,
    ) -> Result<(), EngineError> {
        self.switch(&[(tag, policy.clone())])?;
        self.note(tag, |agent| {
            agent.origin = Some(origin);
            agent.rule = rule;
        })
    }

    /// Leaves an agent without the rule that it was there for.
    pub fn retire_rule(&mut self, tag: Tag) -> Result<(), EngineError> {
        self.note(tag, |agent| agent.rule = None)
    }

    fn note(&mut self, tag: Tag, change: impl FnOnce(&mut AgentFile)) -> Result<(), EngineError> {
        self.agent_of(tag)?;
        let Some(agent) = self.agents.get_mut(&tag.agent) else { return Ok(()) };
        change(agent);
        match &self.state {
            Some(state) => Ok(state.put_agent(agent)?),
            None => Ok(()),
        }
    }

    /// Puts the rules for tagging in force.
    pub fn put_rules(&self, rules: &TagRules) -> Result<(), KernelError> {
        self.kernel().maps().rules().put(rules)
    }
}
