//! Streams of events to whoever asks for them: past ones, then, if wanted, those to come. A reader
//! takes records from the hub's backlog at its own pace, so a slow one costs no memory; what has left
//! the backlog before it was read is missed, and said to be.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};

use super::core::Core;
use super::hub::{Hub, Record};
use super::routes::Body;
use crate::api::types::EventQuery;
use crate::event::json::Line;

/// Chunks that may be on their way to a reader.
const CHUNKS: usize = 8;
/// How long a reader may not read before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are put into one chunk.
const CHUNK: usize = 16 << 10;
/// Records that are looked at at once.
const LOOK: usize = 256;
/// How often a reader of a quiet stream is tried, so that one that has gone away is noticed.
const QUIET: Duration = Duration::from_secs(15);

/// Whom a stream is for.
pub trait Source: Send + Sync + 'static {
    /// The records.
    fn hub(&self) -> &Hub;
}

impl Source for Core {
    fn hub(&self) -> &Hub {
        &self.hub
    }
}

/// The number of the last record now, and the body that streams what `query` asks for to a user.
pub fn body(source: Arc<impl Source>, uid: u32, query: EventQuery) -> (u64, Body) {
    let (sender, body) = Channel::new(CHUNKS);
    let range = source.hub().range();
    tokio::spawn(async move {
        let mut stream = Stream { source, uid, query, sender, chunk: String::new() };
        let _ = stream.run(range).await;
    });
    (range.1, body.boxed())
}

/// The reader is not there any more, or does not read.
struct Gone;

struct Stream<S> {
    source: Arc<S>,
    uid: u32,
    query: EventQuery,
    sender: Sender<Bytes>,
    chunk: String,
}

impl<S: Source> Stream<S> {
    async fn run(&mut self, (horizon, last): (u64, u64)) -> Result<(), Gone> {
        // Watched from before the first look: nothing that comes meanwhile is overlooked.
        let mut watch = self.source.hub().watch();
        let mut cursor = match (self.query.after, self.query.new) {
            (Some(after), _) => after.min(last),
            (None, true) => last,
            (None, false) => horizon,
        };
        if let Some(most) = self.query.last {
            cursor = self.send_last(cursor, last, most).await?;
        }
        loop {
            watch.mark_unchanged();
            cursor = self.catch_up(cursor).await?;
            if !self.query.follow {
                return Ok(());
            }
            match tokio::time::timeout(QUIET, watch.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(()),
                // An empty line is no record, and no line of JSON is broken by it.
                Err(_) => {
                    self.chunk.push('\n');
                    self.send().await?;
                }
            }
        }
    }

    /// Sends everything there is after `cursor`; the new cursor.
    async fn catch_up(&mut self, mut cursor: u64) -> Result<u64, Gone> {
        let end = self.source.hub().range().1;
        while cursor < end {
            let batch = self.source.hub().after(cursor, LOOK);
            if batch.missed > 0 {
                self.chunk += &Line::gap("api", batch.missed).text();
            }
            // Where the backlog has room for nothing there is nothing to wait for either.
            cursor = batch.records.last().map_or(end, |last| last.n);
            for record in &batch.records {
                self.put(record).await?;
            }
        }
        self.send().await?;
        Ok(cursor)
    }

    /// Sends the last `most` records between two numbers; the new cursor.
    async fn send_last(&mut self, mut cursor: u64, end: u64, most: usize) -> Result<u64, Gone> {
        let mut last: VecDeque<Arc<Record>> = VecDeque::new();
        while cursor < end {
            let batch = self.source.hub().after(cursor, LOOK);
            let Some(newest) = batch.records.last() else { break };
            cursor = newest.n;
            for record in batch.records.iter().filter(|r| r.is_for(self.uid, &self.query)) {
                last.push_back(record.clone());
                if last.len() > most {
                    last.pop_front();
                }
            }
        }
        for record in last {
            self.put(&record).await?;
        }
        Ok(cursor)
    }

    /// Puts a record into the chunk under way, if it is asked for.
    async fn put(&mut self, record: &Record) -> Result<(), Gone> {
        if record.is_for(self.uid, &self.query) {
            self.chunk += &record.text;
            if self.chunk.len() >= CHUNK {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Gone> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        match tokio::time::timeout(PATIENCE, self.sender.send_data(chunk)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}
