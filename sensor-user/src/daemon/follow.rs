//! Streams of events to whoever asks for them: past ones, then, if wanted, those to come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::core::{Core, Peer};
use super::hub::Record;
use super::routes::Body;
use crate::api::types::EventQuery;
use crate::event::json;

/// Chunks that may be on their way to a reader.
const CHUNKS: usize = 8;
/// How long a reader may not read before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are put into one chunk.
const CHUNK: usize = 16 << 10;
/// How often a reader of a quiet stream is tried, so that one that has gone away is noticed.
const QUIET: Duration = Duration::from_secs(15);

/// The body that streams what `query` asks for.
pub fn body(core: &Arc<Core>, peer: Peer, query: EventQuery) -> Body {
    let (sender, body) = Channel::new(CHUNKS);
    let (backlog, live) = core.hub.follow();
    tokio::spawn(stream(sender, backlog, live, peer.uid, query));
    body.boxed()
}

async fn stream(
    mut sender: Sender<Bytes>,
    backlog: Vec<Arc<Record>>,
    live: Receiver<Arc<Record>>,
    uid: u32,
    query: EventQuery,
) {
    if !query.new {
        let mut chunk = String::new();
        for record in backlog.iter().filter(|record| record.is_for(uid, &query)) {
            chunk += &record.line;
            if chunk.len() >= CHUNK && !send(&mut sender, std::mem::take(&mut chunk)).await {
                return;
            }
        }
        if !chunk.is_empty() && !send(&mut sender, chunk).await {
            return;
        }
    }
    drop(backlog);
    if query.follow {
        follow(&mut sender, live, uid, &query).await;
    }
}

async fn follow(
    sender: &mut Sender<Bytes>,
    mut live: Receiver<Arc<Record>>,
    uid: u32,
    query: &EventQuery,
) {
    loop {
        let chunk = match tokio::time::timeout(QUIET, live.recv()).await {
            Ok(Ok(record)) if record.is_for(uid, query) => record.line.clone(),
            Ok(Ok(_)) => continue,
            // Its own fault, and it must know.
            Ok(Err(RecvError::Lagged(missed))) => json::gap("api", missed),
            Ok(Err(RecvError::Closed)) => return,
            // An empty line is no record, and no line of JSON is broken by it.
            Err(_) => "\n".to_owned(),
        };
        if !send(sender, chunk).await {
            return;
        }
    }
}

/// Whether the reader took it.
async fn send(sender: &mut Sender<Bytes>, chunk: String) -> bool {
    let sent = tokio::time::timeout(PATIENCE, sender.send_data(Bytes::from(chunk))).await;
    matches!(sent, Ok(Ok(())))
}
