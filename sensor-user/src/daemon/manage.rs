//! What an administrator asks and does: status, and the policies of the directory.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::core::{Core, lock};
use super::peer::{Peer, Refusal, no_policy};
use crate::api::types::{HookStatus, Policy, Reloaded, Status};
use crate::engine::Engine;
use crate::engine::slots::Version;
use crate::kernel::adopt::Arrival;
use crate::kernel::object::VERSION;
use crate::policy::{self, Source};
use sensor_ebpf::limits::{POLICIES_MAX, TABLE_BYTES};

/// Whether the last canary found everything refused that should be, and every hook has its program
/// still.
pub fn enforcing(core: &Core) -> bool {
    refused(core) && armed(&hooks(&core.engine()))
}

fn armed(hooks: &[HookStatus]) -> bool {
    hooks.iter().all(|hook| hook.armed)
}

/// Each hook with whether its program is attached: a look at each one's pin.
fn hooks(engine: &Engine) -> Vec<HookStatus> {
    let hook = |(name, armed): (&str, bool)| HookStatus { name: name.to_owned(), armed };
    engine.as_host().map_or_else(Vec::new, |host| host.armed().into_iter().map(hook).collect())
}

/// Whether the last canary found everything refused that should be.
fn refused(core: &Core) -> bool {
    let canary = lock(&core.canary);
    !canary.probes.is_empty() && canary.probes.iter().all(|probe| probe.refused)
}

/// How things are. Users other than root learn whether there is a fence, not what is in it.
pub fn status(core: &Core, peer: Peer) -> Status {
    let engine = core.engine();
    let arrival = match &core.arrival {
        Arrival::Made => "made".to_owned(),
        Arrival::Adopted => "adopted".to_owned(),
        Arrival::Upgraded { from } => format!("upgraded from {from}"),
    };
    let hooks = hooks(&engine);
    let mut status = Status {
        enforcing: refused(core) && armed(&hooks),
        version: VERSION.to_owned(),
        abi: sensor_ebpf::ABI_VERSION,
        pid: std::process::id(),
        since: humantime::format_rfc3339_seconds(core.since).to_string(),
        arrival,
        ..Status::default()
    };
    if !peer.is_root() {
        return status;
    }
    if let Some(host) = engine.as_host() {
        let record = host.record();
        status.object = record.object.iter().map(|byte| format!("{byte:02x}")).collect();
        status.generation = record.generation;
        status.ring = host.ring().ok();
        status.map_memory = host.map_memory().iter().map(|(_, bytes)| bytes).sum();
    }
    status.hooks = hooks;
    status.canary = lock(&core.canary).clone();
    status.agents = engine.agents().count();
    let tables = engine.policies().count();
    status.tables = (tables, POLICIES_MAX as usize);
    status.table_memory = (tables * TABLE_BYTES) as u64;
    let faults = engine.faults();
    let name = |name: Option<&str>| name.unwrap_or("unknown").to_owned();
    let counted = faults.iter().flatten();
    status.faults = counted.map(|(h, f, n)| (name(h.name()), name(f.name()), *n)).collect();
    let lost = |agent: &crate::engine::state::AgentFile| {
        let tag = agent.tag();
        engine.counters(tag).map_or(0, |counters| counters.lost)
    };
    status.lost = engine.agents().map(lost).sum();
    drop(engine);
    status.passed = core.hub.published();
    status.sinks = core.hub.sinks();
    status.rss = rss();
    status.problems = core.library().problems();
    status.troubles.clone_from(&lock(&core.standing).problems);
    // Counters that cannot be read are not counters that say 0.
    status.troubles.extend(faults.err().map(|error| ("faults".to_owned(), error.to_string())));
    status
}

/// Resident memory of this process, in bytes (`proc_pid_status(5)`, `VmRSS`).
pub fn rss() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// The policies that a peer may see: its own are those that it is offered.
pub fn policies(core: &Core, peer: Peer) -> Vec<Policy> {
    let names: Vec<String> = core.library().entries().keys().cloned().collect();
    names.iter().filter_map(|name| policy(core, peer, name).ok()).map(without_text).collect()
}

fn without_text(policy: Policy) -> Policy {
    Policy { text: None, ..policy }
}

/// One policy.
pub fn policy(core: &Core, peer: Peer, name: &str) -> Result<Policy, Refusal> {
    let offered = core.config().policies.offered.iter().any(|offered| offered == name);
    if !peer.is_root() && !offered {
        return Err(Refusal::Missing(format!("the daemon has no policy {name:?} for you")));
    }
    let (mut agents, mut versions) = (0, Vec::new());
    for (version, users) in core.engine().policies().filter(|(version, _)| version.policy == name) {
        agents += users;
        versions.push(version.digest.clone());
    }
    let library = core.library();
    let entry = library.entries().get(name).ok_or_else(|| no_policy(&library, name))?;
    Ok(Policy {
        name: name.to_owned(),
        file: entry.file.display().to_string(),
        offered,
        agents,
        versions,
        problem: entry.problem.clone(),
        text: entry.source.as_ref().map(|source| source.text.clone()),
    })
}

/// Writes a policy's file and puts it in force; or, if it cannot be, leaves everything as it was.
pub fn put_policy(core: &Core, name: &str, text: &str) -> Result<Reloaded, Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Refusal::Bad(format!("{name:?} cannot be the name of a policy's file")));
    }
    let file = file_of(core, name);
    let source = Source { name: file.display().to_string(), text: text.to_owned() };
    match policy::name(&source) {
        Some(own) if own == name => {}
        Some(own) => {
            return Err(Refusal::Bad(format!("the policy calls itself {own:?}, not {name:?}")));
        }
        None => {}
    }
    core.try_policy(&source)?;
    let failed =
        |error: io::Error| Refusal::Failed(format!("cannot write {}: {error}", file.display()));
    let before = match fs::read(&file) {
        Ok(before) => Some(before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    replace(&file, text.as_bytes()).map_err(failed)?;
    let reloaded = core.reload()?;
    let shown = file.display().to_string();
    let problem = reloaded.problems.iter().find(|(file, _)| *file == shown);
    let Some((_, problem)) = problem else { return Ok(reloaded) };
    // Good for nobody in particular, and not for an agent that runs: back.
    match before {
        Some(before) => replace(&file, &before),
        None => fs::remove_file(&file),
    }
    .map_err(failed)?;
    core.reload()?;
    Err(Refusal::Conflict(format!("nothing was changed: {problem}")))
}

/// Removes a policy's file. Agents under it stay under it; without `force` it stays while there are.
pub fn remove_policy(core: &Core, name: &str, force: bool) -> Result<Reloaded, Refusal> {
    let under = |(version, users): (&Version, usize)| (version.policy == name).then_some(users);
    let agents: usize = core.engine().policies().filter_map(under).sum();
    if agents > 0 && !force {
        return Err(Refusal::Conflict(format!(
            "{agents} agents are under the policy {name:?}; end them first, or force it: they stay under \
             it then as they are"
        )));
    }
    let file = {
        let library = core.library();
        let entry = library.entries().get(name).ok_or_else(|| no_policy(&library, name))?;
        entry.file.clone()
    };
    fs::remove_file(&file)
        .map_err(|error| Refusal::Failed(format!("cannot remove {}: {error}", file.display())))?;
    core.reload()
}

fn file_of(core: &Core, name: &str) -> PathBuf {
    let known = core.library().entries().get(name).map(|entry| entry.file.clone());
    known.unwrap_or_else(|| core.config().policies.directory.join(format!("{name}.yaml")))
}

/// Replaces a file as a whole; beside it first, under a name that is no policy's.
fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.new"));
    let mut options = fs::OpenOptions::new();
    let mut new = options.write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
    new.write_all(text)?;
    new.sync_all()?;
    fs::rename(&temporary, file)
}
