//! The daemon: owns the machine's kernel side, its policies, agents and events, and answers on the
//! control socket. What it owns outlives it: killed, stopped or upgraded, it leaves every agent
//! confined, and the next one goes on where it was.
//!
//! ```text
//! ring ─[pump]→ hub ─→ sinks, backlog, followers
//! socket ─[serve]→ routes ─→ core ─→ engine
//! signals, files, clock ─[watch]→ core
//! ```

mod agents;
mod attach;
mod canary;
mod change;
pub mod config;
mod core;
#[cfg(test)]
pub(crate) mod fake;
mod follow;
mod heap;
mod hub;
mod intake;
mod library;
mod losses;
mod manage;
mod metrics;
pub(crate) mod past;
mod peer;
mod processes;
mod pump;
mod redact;
pub mod rehearse;
pub mod removal;
mod repeats;
mod routes;
mod scrape;
mod serve;
pub(crate) mod sink;
mod tagging;
mod watch;
mod who;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::engine::Engine;
use crate::kernel::adopt::Arrival;
use config::Config;
use core::Core;
use past::Past;
use sink::Sinks;

/// How long sinks that are behind are waited for at the end.
const SINKS: Duration = Duration::from_secs(2);

/// Runs until it is told to stop. Agents stay confined when it returns, however it does.
///
/// # Errors
/// If it cannot begin, or the ring cannot be read any more.
pub fn run(config: Config, config_path: Option<PathBuf>) -> anyhow::Result<()> {
    heap::settle();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()?;
    runtime.block_on(serve(config, config_path))
}

async fn serve(config: Config, config_path: Option<PathBuf>) -> anyhow::Result<()> {
    let state = config.daemon.state.clone();
    directory(&state, 0o755)?;
    let _lock = only_one(&state)?;
    let sinks = Sinks::open(&config.sinks)?;
    let (mut engine, arrival) = Engine::host(&config.daemon.pins, &state)?;
    // The programs are in the kernel now.
    heap::give_back();
    let stream = engine.stream()?;
    let log = config.sinks.file.enabled.then_some(config.sinks.file.path.as_path());
    let past = Past::read(log, &state, config.limits.backlog);
    let core = Arc::new(Core::new(config, config_path, engine, arrival.clone(), sinks, past)?);
    say_arrival(&core, &arrival);
    watch::reload(&core);
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut pump = tokio::spawn(pump::pump(core.clone(), stream));
    let first = core.clone();
    tokio::task::spawn_blocking(move || canary::send(&first)).await?;
    let socket = core.config().daemon.socket.clone();
    if let Some(parent) = socket.parent() {
        directory(parent, 0o755)?;
    }
    let listener =
        serve::listen(&socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
    tokio::spawn(serve::serve(core.clone(), listener));
    if let Some(at) = core.config().metrics.listen {
        let listener = scrape::listen(at).await;
        let listener =
            listener.with_context(|| format!("cannot listen on {at} (metrics.listen)"))?;
        tokio::spawn(scrape::serve(core.clone(), listener));
    }
    tokio::spawn(watch::hangups(core.clone()));
    tokio::spawn(watch::files(core.clone()));
    tokio::spawn(watch::clock(core.clone()));
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = &mut pump => ended?.context("cannot read the event ring any more"),
    };
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
    pump.abort();
    core.say_counted(None);
    core.notice("daemon stopped", None, Some("agents stay confined"));
    core.hub.finish(SINKS);
    let _ = fs::remove_file(&socket);
    ended
}

/// Prints a line on standard error. A daemon whose standard error nobody reads any more goes on all the
/// same; whatever matters is also a notice in the stream.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "picket: {line}");
}

fn say_arrival(core: &Core, arrival: &Arrival) {
    let detail = match arrival {
        Arrival::Made => "programs loaded".to_owned(),
        Arrival::Adopted => "programs in force adopted".to_owned(),
        Arrival::Upgraded { from } => format!("programs of {from} replaced"),
    };
    core.notice("daemon started", None, Some(&detail));
}

fn directory(at: &Path, mode: u32) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(at)
        .with_context(|| format!("cannot make the directory {}", at.display()))
}

/// Holds the lock that says that a daemon runs, until it is dropped or the process is gone.
fn only_one(state: &Path) -> anyhow::Result<File> {
    let at = state.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&at)
        .with_context(|| format!("cannot open {}", at.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("a daemon runs already (it holds {})", at.display())
        }
        Err(fs::TryLockError::Error(error)) => {
            let error: io::Error = error;
            Err(error).with_context(|| format!("cannot lock {}", at.display()))
        }
    }
}
