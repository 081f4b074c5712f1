//! Who asks the daemon, and why something is refused.

use crate::api::types::AgentId;
use crate::engine::EngineError;
use crate::kernel::error::KernelError;

use super::library::Library;

/// Whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user of the process that connected.
    pub uid: u32,
    /// The process.
    pub pid: u32,
}

impl Peer {
    /// The daemon itself.
    pub const SELF: Peer = Peer { uid: 0, pid: 0 };

    /// Whether everything is open to it.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.uid == 0
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Something is wrong with what was asked.
    #[error("{0}")]
    Bad(String),
    /// The peer may not.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// Not as things are.
    #[error("{0}")]
    Conflict(String),
    /// No room.
    #[error("{0}")]
    Full(String),
    /// Not in the time that an exchange may take.
    #[error("{0}")]
    Late(String),
    /// The daemon could not.
    #[error("{0}")]
    Failed(String),
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Refusal {
        match error {
            EngineError::Kernel(KernelError::Full(what)) => Refusal::Full(format!(
                "no room for another {what}: there are as many as the kernel side takes"
            )),
            EngineError::Kernel(KernelError::NoAgent(tag)) => no_agent(tag.into()),
            other => Refusal::Failed(other.to_string()),
        }
    }
}

/// The refusal for an agent that is not there, or not the peer's.
pub fn no_agent(id: AgentId) -> Refusal {
    Refusal::Missing(format!("there is no agent {id}"))
}

/// The refusal for something that only root may.
pub fn forbidden(what: &str) -> Refusal {
    Refusal::Forbidden(format!("only root may {what}"))
}

/// The refusal for a policy that is not there, or was never right.
pub fn no_policy(library: &Library, name: &str) -> Refusal {
    match library.entries().get(name).and_then(|entry| entry.problem.as_ref()) {
        Some(problem) => Refusal::Conflict(format!("the policy {name:?} has mistakes:\n{problem}")),
        None => Refusal::Missing(format!("the daemon has no policy {name:?}")),
    }
}

/// The refusal where the processes of the machine cannot be looked at.
pub fn cannot_look(error: std::io::Error) -> Refusal {
    Refusal::Failed(format!("cannot look at processes: {error}"))
}
