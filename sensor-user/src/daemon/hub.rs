//! Every record on its way out: first to the sinks, then to the backlog and to whoever follows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast;

use super::sink::Sinks;
use crate::api::types::{AgentId, EventQuery, SinkStatus};

/// Records that a follower may be behind. One that is further behind is told how many it missed.
const BEHIND_MAX: usize = 4096;

/// One line, with what it can be chosen by.
#[derive(Debug)]
pub struct Record {
    /// The JSON object, with a newline.
    pub line: String,
    /// When it happened.
    pub time: SystemTime,
    /// The agent that it is about.
    pub agent: Option<About>,
    /// The hook.
    pub op: Option<&'static str>,
    /// Names of the rights that were asked for.
    pub rights: Vec<&'static str>,
    /// The verdict.
    pub verdict: Option<&'static str>,
}

/// An agent that a record is about.
#[derive(Debug)]
pub struct About {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// Its policy's name.
    pub policy: String,
    /// Who started it.
    pub uid: u32,
}

impl Record {
    /// Whether somebody who asks `query` and is `uid` gets it. Root gets all, others what is about
    /// agents that they started.
    pub fn is_for(&self, uid: u32, query: &EventQuery) -> bool {
        let about = self.agent.as_ref();
        let own = uid == 0 || about.is_some_and(|about| about.uid == uid);
        let agent = query.agent.as_ref().is_none_or(|wanted| {
            about.is_some_and(|about| about.name == *wanted || about.id.to_string() == *wanted)
        });
        let policy = query
            .policy
            .as_ref()
            .is_none_or(|wanted| about.is_some_and(|about| about.policy == *wanted));
        let op = query
            .op
            .as_deref()
            .is_none_or(|wanted| self.op == Some(wanted) || self.rights.contains(&wanted));
        let verdict = query.verdict.as_deref().is_none_or(|wanted| self.verdict == Some(wanted));
        let since = query.since.is_none_or(|since| {
            let since = Duration::try_from_secs_f64(since).unwrap_or_default();
            self.time >= SystemTime::UNIX_EPOCH + since
        });
        own && agent && policy && op && verdict && since
    }
}

/// The way out.
pub struct Hub {
    state: Mutex<State>,
    live: broadcast::Sender<Arc<Record>>,
}

struct State {
    sinks: Sinks,
    backlog: VecDeque<Arc<Record>>,
    /// Bytes in the backlog, and how many there may be.
    bytes: u64,
    limit: u64,
    published: u64,
}

/// What a record takes beside its line.
const OVERHEAD: u64 = 256;

impl Hub {
    /// Over these sinks, with a backlog of so many bytes.
    pub fn new(sinks: Sinks, limit: u64) -> Hub {
        let state = State { sinks, backlog: VecDeque::new(), bytes: 0, limit, published: 0 };
        Hub { state: Mutex::new(state), live: broadcast::channel(BEHIND_MAX).0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a record out. When this returns the sinks have it.
    pub fn publish(&self, record: Record) {
        let mut state = self.state();
        state.sinks.write(record.line.as_bytes());
        state.published += 1;
        state.bytes += record.line.len() as u64 + OVERHEAD;
        let record = Arc::new(record);
        state.backlog.push_back(record.clone());
        while state.bytes > state.limit {
            let Some(oldest) = state.backlog.pop_front() else { break };
            state.bytes -= oldest.line.len() as u64 + OVERHEAD;
        }
        // Under the lock, so that a follower's backlog ends where its live records begin. Nobody
        // following is no failure.
        let _ = self.live.send(record);
    }

    /// Past records, and those to come.
    pub fn follow(&self) -> (Vec<Arc<Record>>, broadcast::Receiver<Arc<Record>>) {
        let state = self.state();
        (state.backlog.iter().cloned().collect(), self.live.subscribe())
    }

    /// Replaces the sinks and the size of the backlog.
    pub fn reconfigure(&self, sinks: Sinks, limit: u64) {
        let mut state = self.state();
        state.sinks = sinks;
        state.limit = limit;
    }

    /// How the sinks are.
    pub fn sinks(&self) -> Vec<SinkStatus> {
        self.state().sinks.status()
    }

    /// Records so far.
    pub fn published(&self) -> u64 {
        self.state().published
    }
}
