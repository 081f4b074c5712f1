//! The queue before a sink that may be slow or dead, and the thread that empties it. A full queue
//! drops what is new, and keeps in its place how many that were.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::core::lock;
use super::super::hub::Record;
use super::{Meter, Sink, gap};

/// Records that are handed over at once.
const BATCH: usize = 128;
/// How long a sink in trouble is left alone, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// How long a queue that is dropped may go on.
const LEAVE: Duration = Duration::from_secs(2);

/// The queue.
pub struct Queue(Arc<Shared>);

struct Shared {
    name: &'static str,
    state: Mutex<State>,
    changed: Condvar,
    meter: Arc<Meter>,
    limit: usize,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    /// When the thread is to end, whatever is left.
    end: Option<Instant>,
    ended: bool,
}

enum Item {
    Record(Arc<Record>),
    /// So many were dropped here.
    Gap(u64),
}

impl Queue {
    /// A queue of so many bytes, and its thread.
    pub fn start(
        name: &'static str,
        sink: Box<dyn Sink>,
        meter: Arc<Meter>,
        limit: usize,
    ) -> io::Result<Queue> {
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { name, state, changed: Condvar::new(), meter, limit });
        let queue = Queue(shared.clone());
        std::thread::Builder::new().name(format!("sink-{name}")).spawn(move || shared.run(sink))?;
        Ok(queue)
    }

    /// Puts a record in, or counts it as missed.
    pub fn put(&self, record: Arc<Record>) {
        let mut state = lock(&self.0.state);
        let len = record.text.len();
        if state.bytes + len > self.0.limit {
            self.0.meter.missed(1);
            match state.items.back_mut() {
                Some(Item::Gap(count)) => *count += 1,
                _ => state.items.push_back(Item::Gap(1)),
            }
            return;
        }
        state.bytes += len;
        state.items.push_back(Item::Record(record));
        self.0.meter.waiting.fetch_add(1, Relaxed);
        self.0.changed.notify_all();
    }

    /// Lets the thread end when the queue is empty, or at `end`.
    pub fn close(&self, end: Instant) {
        lock(&self.0.state).end = Some(end);
        self.0.changed.notify_all();
    }

    /// Waits until it has, or until `end`.
    pub fn wait(&self, end: Instant) {
        let mut state = lock(&self.0.state);
        while !state.ended {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // It hangs in a system call; what it holds is lost with this process.
                self.0.meter.missed(self.0.meter.waiting.swap(0, Relaxed));
                return;
            }
            state = self.0.pause(state, left);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        let end = Instant::now() + LEAVE;
        state.end = Some(state.end.map_or(end, |other| other.min(end)));
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn pause<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Empties the queue for as long as there is one.
    fn run(&self, mut sink: Box<dyn Sink>) {
        let mut batch: VecDeque<Arc<Record>> = VecDeque::new();
        let mut pause = PAUSE.0;
        while self.fill(&mut batch) {
            match sink.write(batch.make_contiguous()) {
                Ok(taken) => {
                    pause = PAUSE.0;
                    let numbered =
                        batch.drain(..taken.done.min(batch.len())).filter(|r| r.n > 0).count();
                    self.meter.waiting.fetch_sub(numbered as u64, Relaxed);
                    self.meter.taken(taken);
                }
                Err(error) => {
                    self.meter.trouble(&error);
                    if !self.rest(pause) {
                        break;
                    }
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
        let mut state = lock(&self.state);
        self.meter.missed(self.meter.waiting.swap(0, Relaxed));
        state.items.clear();
        state.bytes = 0;
        state.ended = true;
        self.changed.notify_all();
    }

    /// Takes something out of the queue, if there is nothing in the batch; whether there is.
    fn fill(&self, batch: &mut VecDeque<Arc<Record>>) -> bool {
        let mut state = lock(&self.state);
        loop {
            while batch.len() < BATCH
                && let Some(item) = state.items.pop_front()
            {
                match item {
                    Item::Record(record) => {
                        state.bytes -= record.text.len();
                        batch.push_back(record);
                    }
                    Item::Gap(count) => batch.push_back(Arc::new(gap(self.name, count))),
                }
            }
            let late = state.end.is_some_and(|end| Instant::now() >= end);
            match (batch.is_empty(), state.end) {
                (false, _) => return !late,
                (true, Some(_)) => return false,
                (true, None) => state = self.pause(state, Duration::from_secs(3600)),
            }
        }
    }

    /// Leaves a sink in trouble alone for a while; whether it is to be tried again.
    fn rest(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = lock(&self.state);
        loop {
            let end = state.end.map_or(until, |end| end.min(until));
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return state.end.is_none_or(|end| Instant::now() < end);
            }
            state = self.pause(state, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::Taken;
    use super::*;
    use crate::event::json::Line;

    fn record(n: u64) -> Arc<Record> {
        let mut line = Line::notice("test", None, None);
        line.number(n);
        Arc::new(Record::of(&line, line.text()))
    }

    /// Takes one record for each permission it gets, and passes on what it took.
    struct Slow(mpsc::Receiver<()>, mpsc::Sender<Arc<Record>>);

    impl Sink for Slow {
        fn write(&mut self, records: &[Arc<Record>]) -> io::Result<Taken> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(records[0].clone()).map_err(io::Error::other)?;
            Ok(Taken { done: 1, refused: 0 })
        }
    }

    #[test]
    fn a_slow_sink_holds_nobody_up_and_what_it_misses_is_counted_in_its_place() {
        let ((go, permission), (pass, got)) = (mpsc::channel(), mpsc::channel());
        let meter = Arc::new(Meter::default());
        let limit = record(1).text.len() * 10;
        let sink = Box::new(Slow(permission, pass));
        let queue = Queue::start("slow", sink, meter.clone(), limit).unwrap();
        queue.put(record(1));
        go.send(()).unwrap();
        assert_eq!(got.recv().unwrap().n, 1);
        // Nothing is taken now, and every call comes back.
        (2..1000).for_each(|n| queue.put(record(n)));
        let status = meter.status("slow");
        assert!(status.missed > 900, "{status:?}");
        assert_eq!(1 + status.waiting + status.missed, 999, "{status:?}");
        (0..2000).for_each(|_| go.send(()).unwrap());
        queue.put(record(1000));
        // Every jump in the numbers is said where it is, and how wide it is.
        let mut next = 2;
        while next <= 1000 {
            let record = got.recv().unwrap();
            match Line::parse(&record.text).unwrap() {
                Line::Gap(gap) => next += gap.missed,
                _ => {
                    assert_eq!(record.n, next);
                    next += 1;
                }
            }
        }
    }

    /// Fails a number of times.
    struct Dead(usize, mpsc::Sender<u64>);

    impl Sink for Dead {
        fn write(&mut self, records: &[Arc<Record>]) -> io::Result<Taken> {
            if self.0 > 0 {
                self.0 -= 1;
                return Err(io::Error::other("nobody there"));
            }
            records.iter().for_each(|record| self.1.send(record.n).unwrap());
            Ok(Taken { done: records.len(), refused: 0 })
        }
    }

    #[test]
    fn a_sink_that_comes_back_gets_what_waited_for_it() {
        let (pass, got) = mpsc::channel();
        let meter = Arc::new(Meter::default());
        let queue = Queue::start("dead", Box::new(Dead(2, pass)), meter.clone(), 1 << 20).unwrap();
        (1..=3).for_each(|n| queue.put(record(n)));
        assert_eq!((1..=3).map(|_| got.recv().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        queue.close(Instant::now() + Duration::from_secs(60));
        queue.wait(Instant::now() + Duration::from_secs(60));
        let status = meter.status("dead");
        assert_eq!((status.written, status.missed, status.waiting), (3, 0, 0));
        assert_eq!(status.trouble, None);
    }

    #[test]
    fn what_a_dead_sink_never_took_is_counted_when_it_ends() {
        let (pass, _got) = mpsc::channel();
        let meter = Arc::new(Meter::default());
        let queue =
            Queue::start("dead", Box::new(Dead(usize::MAX, pass)), meter.clone(), 1 << 20).unwrap();
        (1..=3).for_each(|n| queue.put(record(n)));
        let end = Instant::now() + Duration::from_millis(50);
        queue.close(end);
        queue.wait(end + Duration::from_secs(60));
        let status = meter.status("dead");
        assert_eq!((status.written, status.missed, status.waiting), (0, 3, 0));
        assert!(status.trouble.is_some());
    }
}
