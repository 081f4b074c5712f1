//! Every record on its way out: it gets its number, goes to the sinks, and then into the backlog, from
//! which whoever follows takes it at a pace of its own.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::core::lock;
use super::past::Past;
use super::sink::{Meters, Sinks};
use crate::api::types::{EventQuery, SinkStatus};
use crate::event::json::Line;

/// One line, with what it can be chosen by.
#[derive(Debug)]
pub struct Record {
    /// Its number.
    pub n: u64,
    /// The JSON object, with a newline.
    pub text: String,
    /// What kind of line it is: its `type`.
    pub kind: &'static str,
    /// When it happened.
    pub time: SystemTime,
    /// The agent that it is about.
    pub agent: Option<About>,
    /// The hook.
    pub op: Option<Cow<'static, str>>,
    /// Names of the rights that were asked for.
    pub rights: Vec<Cow<'static, str>>,
    /// The verdict; of lines about other things there is none.
    pub verdict: Option<Cow<'static, str>>,
}

/// An agent that a record is about.
#[derive(Debug)]
pub struct About {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its policy's name.
    pub policy: String,
    /// Who started it.
    pub owner: Option<u32>,
}

impl Record {
    /// The record of a line that has its number already.
    #[must_use]
    pub fn of(line: &Line<'_>, text: String) -> Record {
        let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
        let violation = line.as_violation();
        let head = line.head();
        Record {
            n: head.n.unwrap_or(0),
            kind: line.kind(),
            time: humantime::parse_rfc3339(&head.time).unwrap_or(SystemTime::UNIX_EPOCH),
            agent: line.subject().map(|subject| About {
                id: subject.agent_id.to_string(),
                name: subject.agent.to_string(),
                policy: subject.policy.to_string(),
                owner: subject.owner,
            }),
            op: violation.map(|violation| own(&violation.op)),
            rights: violation.iter().flat_map(|v| &v.requested).map(own).collect(),
            verdict: violation.map(|violation| own(&violation.verdict)),
            text,
        }
    }

    /// Whether somebody who asks `query` and is `uid` gets it. Root gets all, others what is about
    /// agents that they started.
    #[must_use]
    pub fn is_for(&self, uid: u32, query: &EventQuery) -> bool {
        let about = self.agent.as_ref();
        let own = uid == 0 || about.is_some_and(|about| about.owner == Some(uid));
        let agent = query.agent.as_ref().is_none_or(|wanted| {
            about.is_some_and(|about| about.name == *wanted || about.id == *wanted)
        });
        let policy = query
            .policy
            .as_ref()
            .is_none_or(|wanted| about.is_some_and(|about| about.policy == *wanted));
        let op = query.op.as_deref().is_none_or(|wanted| {
            self.op.as_deref() == Some(wanted) || self.rights.iter().any(|right| right == wanted)
        });
        let verdict =
            query.verdict.as_deref().is_none_or(|wanted| self.verdict.as_deref() == Some(wanted));
        let since = query.since.is_none_or(|since| {
            let since = Duration::try_from_secs_f64(since).unwrap_or_default();
            self.time >= SystemTime::UNIX_EPOCH + since
        });
        own && agent && policy && op && verdict && since
    }

    /// What it takes in memory, about.
    fn weight(&self) -> u64 {
        self.text.len() as u64 + OVERHEAD
    }
}

/// The way out.
pub struct Hub {
    /// Numbers, and the order in which sinks get what is numbered. Held while a sink is written to.
    way: Mutex<Way>,
    backlog: Mutex<Backlog>,
    /// How the sinks are; beside them, so that a disk that hangs keeps nobody from asking.
    meters: Mutex<Meters>,
    /// Number of the last record.
    last: watch::Sender<u64>,
}

struct Way {
    sinks: Sinks,
    past: Past,
}

/// Records that are still in memory, by ascending number.
struct Backlog {
    records: VecDeque<Arc<Record>>,
    /// What they take, and what they may.
    bytes: u64,
    limit: u64,
    /// Number of the last record that is not in memory any more.
    horizon: u64,
    published: u64,
}

/// What a record takes beside its line.
const OVERHEAD: u64 = 256;

/// Some of the records that a reader has not seen yet.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records, oldest first.
    pub records: Vec<Arc<Record>>,
    /// Records between the reader's last and these that are gone from memory. No more than so many;
    /// numbers may have been left out.
    pub missed: u64,
}

impl Hub {
    /// Over these sinks, after what is past, with a backlog of so many bytes.
    pub fn new(sinks: Sinks, past: Past, limit: u64) -> Hub {
        let before = past.before();
        let mut backlog = Backlog {
            records: VecDeque::new(),
            bytes: 0,
            limit,
            horizon: past.horizon(),
            published: 0,
        };
        let mut way = Way { sinks, past };
        way.past.take_records().into_iter().for_each(|record| backlog.put(Arc::new(record)));
        let meters = way.sinks.meters();
        Hub {
            meters: Mutex::new(meters),
            way: Mutex::new(way),
            backlog: Mutex::new(backlog),
            last: watch::Sender::new(before),
        }
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        lock(&self.way)
    }

    /// Sends a line out; its number. When this returns the file has it.
    pub fn publish(&self, line: Line<'_>) -> u64 {
        self.publish_except(line, None)
    }

    /// The same, but not to the sink of this name.
    fn publish_except(&self, mut line: Line<'_>, except: Option<&str>) -> u64 {
        let mut way = self.way();
        let n = way.past.next();
        line.number(n);
        let record = Arc::new(Record::of(&line, line.text()));
        way.sinks.write(&record, except);
        // Under the first lock still, so that the backlog has the order of the numbers.
        let mut backlog = lock(&self.backlog);
        backlog.published += 1;
        backlog.put(record);
        drop(backlog);
        self.last.send_replace(n);
        n
    }

    /// Records after the one with the number `cursor`, at most `most`.
    pub fn after(&self, cursor: u64, most: usize) -> Batch {
        let backlog = lock(&self.backlog);
        let start = backlog.records.partition_point(|record| record.n <= cursor);
        let records = backlog.records.iter().skip(start).take(most).cloned().collect();
        Batch { records, missed: backlog.horizon.saturating_sub(cursor) }
    }

    /// Number of the last record that is not in memory any more, and of the last there is.
    pub fn range(&self) -> (u64, u64) {
        (lock(&self.backlog).horizon, *self.last.borrow())
    }

    /// See [`Past::take_written`].
    pub fn take_written(&self) -> Option<(String, u64)> {
        self.way().past.take_written()
    }

    /// Changes with every record.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Replaces the sinks and the size of the backlog.
    pub fn reconfigure(&self, sinks: Sinks, limit: u64) {
        *lock(&self.meters) = sinks.meters();
        self.way().sinks = sinks;
        lock(&self.backlog).limit = limit;
    }

    /// Says in the stream what sinks have lost since that was last said.
    pub fn report_gaps(&self) {
        let gaps = self.way().sinks.unsaid();
        for (sink, missed) in gaps {
            self.publish_except(Line::gap(&sink, missed), Some(&sink));
        }
    }

    /// Gives sinks that are behind this long to catch up, and keeps the last number for the next
    /// daemon.
    pub fn finish(&self, patience: Duration) {
        let mut way = self.way();
        way.sinks.finish(patience);
        way.past.keep();
    }

    /// How the sinks are.
    pub fn sinks(&self) -> Vec<SinkStatus> {
        lock(&self.meters).iter().map(|(name, meter)| meter.status(name)).collect()
    }

    /// Records so far.
    pub fn published(&self) -> u64 {
        lock(&self.backlog).published
    }
}

impl Backlog {
    fn put(&mut self, record: Arc<Record>) {
        self.bytes += record.weight();
        self.records.push_back(record);
        while self.bytes > self.limit {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.weight();
            self.horizon = oldest.n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(limit: u64) -> Hub {
        Hub::new(Sinks::none(), Past::nothing(), limit)
    }

    fn publish(hub: &Hub, count: u64) {
        for _ in 0..count {
            hub.publish(Line::notice("test", None, None));
        }
    }

    #[test]
    fn a_reader_is_told_what_it_can_have_no_more() {
        let hub = hub(4000);
        publish(&hub, 3);
        let batch = hub.after(0, 100);
        assert_eq!(batch.records.iter().map(|r| r.n).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(batch.missed, 0);
        assert_eq!(hub.after(2, 100).records.len(), 1);
        assert_eq!(hub.after(0, 2).records.len(), 2);
        publish(&hub, 97);
        let (horizon, last) = hub.range();
        assert_eq!(last, 100);
        let batch = hub.after(3, 1000);
        assert_eq!(batch.missed, horizon - 3);
        assert_eq!(batch.records.len() as u64, last - horizon, "nothing is between");
        assert_eq!(hub.after(horizon, 1).missed, 0);
        assert!(lock(&hub.backlog).bytes <= 4000);
    }

    #[test]
    fn users_get_what_is_about_their_own_agents() {
        let of = crate::event::json::Subject {
            agent: "a".into(),
            agent_id: "1.2".into(),
            owner: Some(1000),
            policy: "p".into(),
            version: "v".into(),
        };
        let line = Line::notice("agent started", Some(of), None);
        let record = Record::of(&line, line.text());
        let all = EventQuery::default();
        assert!(record.is_for(0, &all) && record.is_for(1000, &all) && !record.is_for(1001, &all));
        let of = |agent: &str| EventQuery { agent: Some(agent.to_owned()), ..all.clone() };
        assert!(record.is_for(0, &of("a")) && record.is_for(0, &of("1.2")));
        assert!(!record.is_for(0, &of("b")));
        let general = Line::notice("daemon started", None, None);
        let general = Record::of(&general, general.text());
        assert!(general.is_for(0, &all) && !general.is_for(1000, &all));
    }
}
