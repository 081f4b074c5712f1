//! Taking the machine's kernel side off for good: what `picket uninstall` does. Everything that was
//! confined is free afterwards, so it says first who that is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sensor_ebpf::limits::AGENTS_MAX;

use super::config::Config;
use super::redact::Redact;
use super::{only_one, processes};
use crate::api::types::{AgentId, Process};
use crate::engine::state::StateDir;
use crate::kernel::maps::Maps;
use crate::kernel::{adopt, pins};

/// How long the kernel may take to let go of the programs.
const PATIENCE: Duration = Duration::from_secs(30);

/// An agent that would be free.
#[derive(Debug)]
pub struct Released {
    /// Its id.
    pub id: AgentId,
    /// Its name; empty where nobody knows it.
    pub name: String,
    /// Its processes.
    pub processes: Vec<Process>,
}

/// A kernel side that nobody holds but its pins.
pub struct Removal {
    pins: PathBuf,
    state: PathBuf,
    /// Of `picket run`s that were killed.
    abandoned: Vec<PathBuf>,
    /// Whom it would release.
    pub released: Vec<Released>,
    /// Why that cannot be told, where it cannot.
    pub unknown: Option<String>,
    /// No daemon begins while this is held.
    _lock: File,
}

/// Finds what there is to take off; nothing if there is nothing.
///
/// # Errors
/// If a daemon runs.
pub fn find(config: &Config) -> anyhow::Result<Option<Removal>> {
    let (pins, state) = (config.daemon.pins.clone(), config.daemon.state.clone());
    let abandoned = abandoned(pins.parent().unwrap_or(Path::new(pins::ROOT)))?;
    let there = pins.try_exists().with_context(|| format!("cannot look at {}", pins.display()))?;
    if !there && abandoned.is_empty() {
        return Ok(None);
    }
    super::directory(&state, 0o755)?;
    let lock = only_one(&state).context("stop the daemon first: `systemctl stop picket`")?;
    let redact = Redact::new(&config.events.redact).unwrap_or_default();
    let (released, unknown) = match released(&pins, &state, &redact) {
        _ if !there => (Vec::new(), None),
        Ok(released) => (released, None),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    Ok(Some(Removal { pins, state, abandoned, released, unknown, _lock: lock }))
}

/// The agents in a kernel side, each with its processes.
fn released(pins: &Path, state: &Path, redact: &Redact) -> anyhow::Result<Vec<Released>> {
    let maps = Maps::pinned(pins)?;
    let tagged = processes::tagged(&maps.tags()?)?;
    let names = StateDir::open(state)?.agents()?;
    let mut found = Vec::new();
    for slot in 0..AGENTS_MAX {
        let epoch = maps.agent(slot)?.epoch;
        if epoch == 0 {
            continue;
        }
        let tag = sensor_ebpf::tag::Tag { agent: slot, epoch };
        let known = names.iter().find(|agent| agent.tag() == tag);
        found.push(Released {
            id: tag.into(),
            name: known.map(|agent| agent.name.clone()).unwrap_or_default(),
            processes: processes::describe(tagged.get(&tag).map_or(&[], Vec::as_slice), redact),
        });
    }
    Ok(found)
}

/// Pins of `picket run`s that are gone (`run-PID`, `run-PID-NUMBER`).
fn abandoned(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let gone = |name: &String| {
        let pid = name.strip_prefix("run-").and_then(|rest| rest.split('-').next());
        pid.and_then(|pid| pid.parse::<u32>().ok()).is_some_and(|pid| {
            let program = fs::read_link(format!("/proc/{pid}/exe"));
            !program.is_ok_and(|program| program.to_string_lossy().contains("picket"))
        })
    };
    Ok(pins::names(root)?.iter().filter(|name| gone(name)).map(|name| root.join(name)).collect())
}

impl Removal {
    /// How many directories of pins `picket run`s have left that were killed.
    #[must_use]
    pub fn abandoned(&self) -> usize {
        self.abandoned.len()
    }

    /// Takes it off.
    ///
    /// # Errors
    /// If something of it stays; what was taken off is off.
    pub fn carry_out(self) -> anyhow::Result<()> {
        // First what holds the programs: without them the maps confine nobody.
        let names = pins::names(&self.pins)?;
        let sets = names.iter().filter(|name| name.starts_with("links-"));
        let sets: Vec<PathBuf> =
            sets.map(|name| self.pins.join(name)).chain(self.abandoned).collect();
        let programs: Vec<u32> = sets.iter().flat_map(|links| adopt::programs(links)).collect();
        for links in &sets {
            pins::remove(links)?;
        }
        pins::remove(&self.pins)?;
        let deadline = Instant::now() + PATIENCE;
        while adopt::any_loaded(&programs) {
            if Instant::now() > deadline {
                bail!("the pins are gone, and programs judge on: something else holds their links");
            }
            sleep(Duration::from_millis(10));
        }
        // The root is anybody's who still runs.
        let _ = fs::remove_dir(self.pins.parent().unwrap_or(Path::new(pins::ROOT)));
        for part in ["agents", "policies", "canary"] {
            let at = self.state.join(part);
            match fs::remove_dir_all(&at) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", at.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
