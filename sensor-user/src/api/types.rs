//! What goes over the control API. Fields may be added; none changes its meaning under `/v1`.

mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sensor_ebpf::tag::Tag;
use serde::{Deserialize, Serialize};

pub use status::{Canary, HookStatus, Probe, SinkStatus, Status};

/// An agent's id: slot and epoch, `3.17`. Never given to another agent, until a reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId {
    slot: u32,
    epoch: u32,
}

impl From<Tag> for AgentId {
    fn from(tag: Tag) -> AgentId {
        AgentId { slot: tag.agent, epoch: tag.epoch }
    }
}

impl From<AgentId> for Tag {
    fn from(id: AgentId) -> Tag {
        Tag { agent: id.slot, epoch: id.epoch }
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.epoch)
    }
}

impl FromStr for AgentId {
    type Err = String;

    fn from_str(text: &str) -> Result<AgentId, String> {
        let wrong = || format!("{text:?} is no agent's id, which looks like 3.17");
        let (slot, epoch) = text.split_once('.').ok_or_else(wrong)?;
        let number = |text: &str| text.parse().map_err(|_| wrong());
        Ok(AgentId { slot: number(slot)?, epoch: number(epoch)? })
    }
}

impl Serialize for AgentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AgentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<AgentId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `POST /v1/agents`: a new agent, without a process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    /// What to call it; the policy's name by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name of a policy of the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// A whole policy instead. Root only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<PolicyText>,
    /// Values of the policy's variables. `user`, `uid` and `home` are set by the daemon where
    /// somebody other than root asks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Allow everything, and report what the policy would refuse. Root only.
    #[serde(default)]
    pub audit: bool,
}

/// A policy's text.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// The file that it comes from, for messages and for what it includes.
    pub file: String,
    /// The text.
    pub text: String,
}

/// The answer to [`NewAgent`], and what `GET /v1/agents` lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// Its policy's name.
    pub policy: String,
    /// Digest of the version of the policy that it is under.
    pub version: String,
    /// Whether that only reports.
    pub audit: bool,
    /// Who started it.
    pub uid: u32,
    /// Since when it is there (RFC 3339).
    pub since: String,
    /// Its processes, parents before children.
    pub processes: Vec<Process>,
    /// The rule for tagging of the configuration that it is there for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Violations so far, in all.
    pub events: u64,
    /// Those of them that found no room in the ring.
    pub lost: u64,
    /// What is probably not meant in the policy, for the one who starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<String>,
}

/// A process of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// Its user.
    pub uid: u32,
    /// Its command line, as far as it can be printed.
    pub command: String,
}

/// `POST /v1/agents/ID/processes`: makes a process one of the agent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProcess {
    /// A process of the caller's user that waits to begin.
    pub pid: u32,
}

/// `POST /v1/attach`: a new agent of processes that run already. Root only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// The agent to make.
    pub agent: NewAgent,
    /// Whom to take in.
    pub whom: Whom,
    /// Judge also what they have open already, whenever they use it.
    #[serde(default)]
    pub cut_off: bool,
}

/// Processes that run already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whom {
    /// A process and all that descend from it.
    Pid(u32),
    /// All that are in a cgroup and below it, by its directory.
    Cgroup(String),
    /// All of a unit of systemd, by its name.
    Unit(String),
}

/// The answer to [`Attach`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attached {
    /// The agent.
    pub agent: Agent,
    /// How many processes were taken in.
    pub taken: usize,
    /// Processes that are of another agent, and stay that: pid and agent.
    pub others: Vec<(u32, AgentId)>,
    /// Processes that ended while they were being taken in. What they left to others may not be in.
    pub vanished: usize,
    /// What they had open when they were all in.
    pub open: Vec<OpenFile>,
}

/// A descriptor of a process that was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFile {
    /// The process.
    pub pid: u32,
    /// The descriptor.
    pub fd: u32,
    /// What it leads to, as `/proc/PID/fd` says it.
    pub target: String,
}

/// `POST /v1/agents/ID/end`: what ending an agent's processes came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How many processes were ended.
    pub processes: usize,
}

/// A policy of the daemon's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The file.
    pub file: String,
    /// Whether users other than root may start agents under it.
    pub offered: bool,
    /// Agents under it.
    pub agents: usize,
    /// Digests of the versions that are in force.
    pub versions: Vec<String>,
    /// What is wrong with the file as it is now. What was right before is still in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The text; only where one policy is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `PUT /v1/policies/NAME`: the text of a policy for the daemon's directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutPolicy {
    /// The text.
    pub text: String,
}

/// The query of `DELETE /v1/policies/NAME`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Removal {
    /// Also while agents are under it.
    pub force: bool,
}

/// What a reload did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reloaded {
    /// Policies in the directory that can be used.
    pub policies: usize,
    /// Agents that are under another version now.
    pub moved: usize,
    /// Files with something wrong in them: file and what.
    pub problems: Vec<(String, String)>,
}

/// What is answered where something goes wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What, for people: lower case, no full stop.
    pub error: String,
}

/// What events to stream: the query of `GET /v1/events`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventQuery {
    /// Go on with events as they happen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// Only of the agent with this name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only under the policy with this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Only of this hook, or of one that asks for this right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// Only with this verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Only since then: seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<f64>,
    /// Only the last so many past events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<usize>,
    /// Only after the line with this number (`n`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// No past events.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id: AgentId = Tag { agent: 3, epoch: 17 }.into();
        assert_eq!(id.to_string(), "3.17");
        assert_eq!("3.17".parse(), Ok(id));
        assert_eq!(Tag::from(id), Tag { agent: 3, epoch: 17 });
        for wrong in ["", "3", "3.", ".7", "3.x", "-1.2", "3.17.1"] {
            assert!(wrong.parse::<AgentId>().is_err(), "{wrong}");
        }
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"3.17\"");
    }
}
