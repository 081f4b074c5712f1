//! The signals that end a run: while a machine runs they go to its session, otherwise they have
//! their usual effect. One listener for the whole process, because handlers are the process's.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::SyncSender,
    },
    thread,
};

use anyhow::{Result, anyhow};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use super::session::Event;

static LISTENING: OnceLock<Result<(), String>> = OnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(0);
static SESSIONS: Mutex<Vec<Session>> = Mutex::new(Vec::new());

struct Session {
    number: u64,
    events: SyncSender<Event>,
    told: bool,
}

/// A session's registration; ends when the value goes.
#[derive(Debug)]
pub struct Registration(u64);

/// Has signals sent to `events` from now on.
///
/// # Errors
/// When handlers cannot be installed.
pub fn register(events: SyncSender<Event>) -> Result<Registration> {
    LISTENING
        .get_or_init(|| listen().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!(error))?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    sessions().push(Session { number, events, told: false });
    Ok(Registration(number))
}

impl Drop for Registration {
    fn drop(&mut self) {
        sessions().retain(|session| session.number != self.0);
    }
}

fn sessions() -> MutexGuard<'static, Vec<Session>> {
    SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if !tell(signal) {
                // Ends the process, and QEMU with it (see its parent-death signal).
                let _ = emulate_default_handler(signal);
            }
        }
    })?;
    Ok(())
}

/// Tells every session; false where none is left to tell, or one was told before and has not ended
/// since: somebody presses Ctrl-C a second time.
fn tell(signal: i32) -> bool {
    let mut sessions = sessions();
    let patient = !sessions.is_empty() && sessions.iter().all(|session| !session.told);
    for session in sessions.iter_mut() {
        session.told |= session.events.try_send(Event::Signal(signal)).is_ok();
    }
    patient && sessions.iter().all(|session| session.told)
}
