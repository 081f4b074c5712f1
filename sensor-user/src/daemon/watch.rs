//! What the daemon does of its own accord: reloading when told or when files change, noticing agents
//! that have ended, saying what was lost.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::core::Core;

/// How long files must be at rest before they are read: editors write them in several steps.
const REST: Duration = Duration::from_millis(150);
/// How often ended agents are looked for.
const SWEEP: Duration = Duration::from_secs(3);
/// How often losses are looked for while no event comes.
const LOSSES: Duration = Duration::from_secs(1);

/// Puts running agents under what the policies say, and says how that went.
pub fn reload(core: &Core) {
    match core.reload() {
        Ok(reloaded) => {
            let detail = format!(
                "{} policies, {} agents moved, {} files with mistakes",
                reloaded.policies,
                reloaded.moved,
                reloaded.problems.len()
            );
            core.notice("policies loaded", None, Some(&detail));
            for (file, problem) in reloaded.problems {
                super::say(&format!("{file} has mistakes; what was in force still is:\n{problem}"));
            }
        }
        Err(error) => {
            super::say(&format!("policies left as they were: {error}"));
            core.notice("policies left as they were", None, Some(&error.to_string()));
        }
    }
}

/// Reloads on SIGHUP: configuration, then policies.
pub async fn hangups(core: Arc<Core>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    while hangup.recv().await.is_some() {
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Reloading]);
        let core = core.clone();
        let _ = tokio::task::spawn_blocking(move || {
            if let Err(error) = core.reconfigure() {
                super::say(&format!("configuration left as it was: {error}"));
                core.notice("configuration left as it was", None, Some(&error.to_string()));
            }
            reload(&core);
        })
        .await;
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    }
    Ok(())
}

/// Reloads policies when something in their directory changes.
pub async fn files(core: Arc<Core>) {
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading is no change, and reloading reads.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // One that waits to be seen does for all.
            let _ = changed.try_send(());
        }
    });
    let directory = core.config().policies.directory.clone();
    let watching = watcher.and_then(|mut watcher| {
        watcher.watch(Path::new(&directory), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    let _watcher = match watching {
        Ok(watcher) => watcher,
        Err(error) => {
            let directory = directory.display();
            super::say(&format!("changes in {directory} are not noticed ({error}); send SIGHUP"));
            return;
        }
    };
    while changes.recv().await.is_some() {
        // Until there is a pause.
        while tokio::time::timeout(REST, changes.recv()).await.is_ok_and(|change| change.is_some())
        {
        }
        let core = core.clone();
        let _ = tokio::task::spawn_blocking(move || reload(&core)).await;
    }
}

/// Looks for agents that have ended, and for losses.
pub async fn clock(core: Arc<Core>) {
    let mut sweeps = tokio::time::interval(SWEEP);
    let mut losses = tokio::time::interval(LOSSES);
    loop {
        let core = core.clone();
        let work: fn(&Core) = tokio::select! {
            _ = sweeps.tick() => Core::sweep,
            _ = losses.tick() => Core::report,
        };
        let _ = tokio::task::spawn_blocking(move || work(&core)).await;
    }
}
