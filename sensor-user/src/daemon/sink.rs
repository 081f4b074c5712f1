//! Where records go. A sink takes whole lines and never holds anybody up: what it cannot take is
//! counted, shown in status and metrics, and said in the stream.
//!
//! The file is written before a record's room in the ring is given back, so that a killed daemon
//! loses none. Every other sink has a queue of bounded size and a thread of its own.

mod file;
mod journald;
pub mod otlp;
mod queue;
mod shape;
mod stdout;
pub mod syslog;

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::config;
use super::core::lock;
use super::hub::Record;
use crate::api::types::SinkStatus;
use crate::event::json::Line;
use queue::Queue;

/// A place for records.
pub trait Sink: Send {
    /// Takes records, the oldest first: each as a whole or not at all. An error means that the first
    /// was not taken and is to be tried again.
    fn write(&mut self, records: &[Arc<Record>]) -> io::Result<Taken>;
}

/// What a sink did with the records that it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many of them are done with.
    pub done: usize,
    /// How many of those the other side does not want, now or later.
    pub refused: usize,
}

/// What has become of a sink's records.
#[derive(Debug, Default)]
pub struct Meter {
    written: AtomicU64,
    missed: AtomicU64,
    waiting: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Meter {
    /// So many were taken.
    fn taken(&self, taken: Taken) {
        self.written.fetch_add((taken.done - taken.refused) as u64, Relaxed);
        self.missed.fetch_add(taken.refused as u64, Relaxed);
        *lock(&self.trouble) = (taken.refused > 0).then(|| "records were refused".to_owned());
    }

    /// So many never will be.
    fn missed(&self, count: u64) {
        self.missed.fetch_add(count, Relaxed);
    }

    /// Something is wrong.
    fn trouble(&self, error: &io::Error) {
        *lock(&self.trouble) = Some(error.to_string());
    }

    /// As it is now.
    pub fn status(&self, name: &str) -> SinkStatus {
        SinkStatus {
            name: name.to_owned(),
            written: self.written.load(Relaxed),
            missed: self.missed.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            trouble: lock(&self.trouble).clone(),
        }
    }
}

/// The meters of all sinks, by name.
pub type Meters = Vec<(&'static str, Arc<Meter>)>;

/// A sink, and how it is written to.
struct Outlet {
    name: &'static str,
    meter: Arc<Meter>,
    way: Way,
    /// Of what it missed, what was said in the stream.
    said: u64,
}

enum Way {
    /// At once.
    Direct(Box<dyn Sink>),
    /// By a thread.
    Queued(Queue),
}

/// All sinks.
pub struct Sinks(Vec<Outlet>);

impl Sinks {
    /// Those of a configuration.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub fn open(config: &config::Sinks) -> anyhow::Result<Sinks> {
        let mut sinks = Sinks::none();
        if config.file.enabled {
            sinks.direct("file", Box::new(file::File::open(&config.file)?));
        }
        if config.stdout.enabled {
            sinks.queued("stdout", Box::new(stdout::Stdout), config)?;
        }
        if config.journald.enabled {
            let journald = journald::Journald::new(config.journald.socket.clone());
            sinks.queued("journald", Box::new(journald), config)?;
        }
        if config.syslog.enabled {
            let wrong = anyhow::Error::msg;
            let target = config.syslog.to.parse().map_err(wrong)?;
            let facility = syslog::facility(&config.syslog.facility).map_err(wrong)?;
            sinks.queued("syslog", Box::new(syslog::Syslog::new(target, facility)), config)?;
        }
        if config.otlp.enabled {
            let endpoint = otlp::endpoint(&config.otlp.endpoint).map_err(anyhow::Error::msg)?;
            let otlp = otlp::Otlp::new(endpoint, config.otlp.headers.clone())?;
            sinks.queued("otlp", Box::new(otlp), config)?;
        }
        Ok(sinks)
    }

    /// No sink.
    #[must_use]
    pub fn none() -> Sinks {
        Sinks(Vec::new())
    }

    fn direct(&mut self, name: &'static str, sink: Box<dyn Sink>) {
        self.0.push(Outlet { name, meter: Arc::default(), way: Way::Direct(sink), said: 0 });
    }

    fn queued(
        &mut self,
        name: &'static str,
        sink: Box<dyn Sink>,
        config: &config::Sinks,
    ) -> io::Result<()> {
        let meter = Arc::new(Meter::default());
        let queue = Queue::start(name, sink, meter.clone(), config.queue as usize)?;
        self.0.push(Outlet { name, meter, way: Way::Queued(queue), said: 0 });
        Ok(())
    }

    /// Gives a record to each but `except`.
    pub fn write(&mut self, record: &Arc<Record>, except: Option<&str>) {
        for outlet in self.0.iter_mut().filter(|outlet| Some(outlet.name) != except) {
            match &mut outlet.way {
                Way::Queued(queue) => queue.put(record.clone()),
                Way::Direct(sink) => match sink.write(std::slice::from_ref(record)) {
                    Ok(taken) => outlet.meter.taken(taken),
                    Err(error) => {
                        outlet.meter.missed(1);
                        outlet.meter.trouble(&error);
                    }
                },
            }
        }
    }

    /// What sinks have missed since this was last asked.
    pub fn unsaid(&mut self) -> Vec<(String, u64)> {
        let mut gaps = Vec::new();
        for outlet in &mut self.0 {
            let missed = outlet.meter.missed.load(Relaxed);
            if missed > outlet.said {
                gaps.push((outlet.name.to_owned(), missed - outlet.said));
                outlet.said = missed;
            }
        }
        gaps
    }

    /// Gives those that are behind this long to catch up; what they have not taken then they missed.
    pub fn finish(&mut self, patience: Duration) {
        let end = Instant::now() + patience;
        for outlet in &mut self.0 {
            if let Way::Queued(queue) = &outlet.way {
                queue.close(end);
            }
        }
        for outlet in &mut self.0 {
            if let Way::Queued(queue) = &outlet.way {
                queue.wait(end);
            }
        }
    }

    /// What has become of each one's records.
    #[must_use]
    pub fn meters(&self) -> Meters {
        self.0.iter().map(|outlet| (outlet.name, outlet.meter.clone())).collect()
    }
}

/// The line that stands, in a sink, for records that it missed.
fn gap(name: &str, missed: u64) -> Record {
    let line = Line::gap(name, missed);
    Record::of(&line, line.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a notice.
    pub fn notice(n: u64) -> Arc<Record> {
        let mut line = Line::notice("test", None, None);
        line.number(n);
        Arc::new(Record::of(&line, line.text()))
    }

    /// A record of a violation.
    pub fn violation(n: u64) -> Arc<Record> {
        let text = serde_json::json!({
            "type": "violation", "v": 1, "n": n, "time": "2026-05-17T10:21:07.000007Z",
            "boot": "b", "agent": "coder", "agent_id": "1.1", "owner": 0, "policy": "p",
            "version": "0011", "seq": n, "lost": 0, "verdict": "deny", "op": "file_open",
            "requested": ["read"], "because": ["read"], "subject": "/secret", "errno": "EACCES",
            "pid": 1, "tid": 1, "ppid": 1, "uid": 0, "gid": 0, "comm": "cat", "start": 1, "cgroup": 1
        });
        let line = Line::parse(&text.to_string()).unwrap();
        Arc::new(Record::of(&line, line.text()))
    }
}
