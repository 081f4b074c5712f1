//! What the daemon holds, and what it does as plain calls that block: the API, the watchers and the
//! signals all come here. What concerns agents is in [`agents`](super::agents), what changes policies
//! under them in [`change`](super::change).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sensor_ebpf::tag::Tag;

use super::config::{Config, ConfigError};
use super::hub::Hub;
use super::intake::Intake;
use super::library::Library;
use super::metrics::Violations;
use super::past::Past;
use super::sink::Sinks;
use super::tagging::Standing;
use crate::api::types::{AgentId, Canary};
use crate::engine::state::AgentFile;
use crate::engine::{Engine, EngineError};
use crate::event::json::{Line, Subject};
use crate::kernel::adopt::Arrival;
use crate::kernel::maps::Tags;

/// Everything that the daemon holds.
pub struct Core {
    config: Mutex<Arc<Config>>,
    config_path: Option<PathBuf>,
    engine: Mutex<Engine>,
    library: Mutex<Library>,
    /// The way out for events.
    pub hub: Hub,
    /// Violations, counted.
    pub violations: Violations,
    /// What happens to violations on their way.
    pub intake: Intake,
    /// The map of tags.
    pub tags: Tags,
    /// How the kernel side came into force.
    pub arrival: Arrival,
    /// Since when the daemon runs.
    pub since: SystemTime,
    /// What the last canary found.
    pub canary: Mutex<Canary>,
    /// How often in a row each agent was found without a process.
    pub(super) empty: Mutex<HashMap<Tag, u32>>,
    /// By agent, the number after that of its last violation that was passed on.
    pub(super) seen: Mutex<HashMap<Tag, u64>>,
    /// The rules for tagging.
    pub standing: Mutex<Standing>,
    /// Held while losses are said.
    pub reporting: Mutex<()>,
}

/// Locks; a panic elsewhere has not broken what is behind it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// Over a kernel side in force.
    pub fn new(
        config: Config,
        config_path: Option<PathBuf>,
        engine: Engine,
        arrival: Arrival,
        sinks: Sinks,
        past: Past,
    ) -> Result<Core, EngineError> {
        Ok(Core {
            hub: Hub::new(sinks, past, config.limits.backlog),
            intake: Intake::new(engine.tags()?, &config.events),
            config: Mutex::new(Arc::new(config)),
            config_path,
            violations: Violations::default(),
            tags: engine.tags()?,
            engine: Mutex::new(engine),
            library: Mutex::default(),
            arrival,
            since: SystemTime::now(),
            canary: Mutex::default(),
            empty: Mutex::default(),
            seen: Mutex::default(),
            standing: Mutex::default(),
            reporting: Mutex::default(),
        })
    }

    /// The engine, for as long as the guard lives.
    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        lock(&self.engine)
    }

    /// The policies of the directory.
    pub fn library(&self) -> MutexGuard<'_, Library> {
        lock(&self.library)
    }

    /// The configuration as it is now.
    pub fn config(&self) -> Arc<Config> {
        lock(&self.config).clone()
    }

    /// Reads the configuration again. A wrong one leaves everything as it is. The socket, the state
    /// and the pins stay where they are until a restart.
    pub fn reconfigure(&self) -> Result<(), ConfigError> {
        let config = Config::read(self.config_path.as_deref())?;
        let before = self.config();
        if config.sinks != before.sinks {
            match Sinks::open(&config.sinks) {
                Ok(sinks) => self.hub.reconfigure(sinks, config.limits.backlog),
                Err(error) => {
                    self.notice("sinks left as they were", None, Some(&format!("{error:#}")));
                }
            }
        }
        self.intake.configure(&config.events);
        *lock(&self.config) = Arc::new(config);
        Ok(())
    }

    /// Says in the stream what the daemon did.
    pub fn notice(&self, what: &str, agent: Option<&AgentFile>, detail: Option<&str>) {
        let of = agent.map(|agent| subject(&self.engine(), agent));
        self.hub.publish(Line::notice(what, of, detail));
    }
}

/// An agent, as lines name it.
pub fn subject(engine: &Engine, agent: &AgentFile) -> Subject<'static> {
    // As it is now: it may have been put under another version since.
    let table = engine.agent(agent.tag()).map_or(agent.table, |agent| agent.table);
    let version = engine.version(table);
    Subject {
        agent: agent.name.clone().into(),
        agent_id: AgentId::from(agent.tag()).to_string().into(),
        owner: Some(agent.uid),
        policy: version.map_or("unknown", |version| &version.policy).to_owned().into(),
        version: version.map_or("", |version| &version.digest).to_owned().into(),
    }
}
