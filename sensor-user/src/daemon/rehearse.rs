//! The server with nothing behind it: a request is read as what its path takes, and nothing is done.
//! For whoever wants to know what bytes do to the reading of requests.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::config::Limits;
use super::peer::{Peer, Refusal};
use super::routes::{self, Body};
use super::serve::{self, House};
use crate::api::types::{AgentId, EventQuery, NewAgent, NewProcess, PutPolicy, Removal};

/// Bytes that may be on their way.
const PIPE: usize = 1 << 16;

struct Rehearsal;

impl House for Rehearsal {
    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn is_free(&self, _: i32) -> bool {
        true
    }

    async fn answer(
        self: Arc<Self>,
        _: Peer,
        request: Request<Incoming>,
        _: Arc<AtomicBool>,
    ) -> Response<Body> {
        understand(request).await.unwrap_or_else(|refusal| routes::refuse(&refusal))
    }
}

/// Answers with what was understood.
async fn understand(request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
    let query = head.uri.query().unwrap_or_default();
    match (head.method.clone(), path.as_slice()) {
        (Method::GET, ["v1", "events"]) => routes::json(&routes::read_query::<EventQuery>(query)?),
        (Method::DELETE, ["v1", "policies", _]) => {
            routes::json(&routes::read_query::<Removal>(query)?)
        }
        (Method::POST, ["v1", "agents"]) => routes::json(&routes::read::<NewAgent>(body).await?),
        (Method::POST, ["v1", "agents", id, "processes"]) => {
            let id: AgentId = id.parse().map_err(Refusal::Bad)?;
            routes::json(&(id, routes::read::<NewProcess>(body).await?))
        }
        (Method::PUT, ["v1", "policies", _]) => {
            routes::json(&routes::read::<PutPolicy>(body).await?)
        }
        _ => Err(Refusal::Missing("there is no such thing".to_owned())),
    }
}

/// What is answered to bytes after which nothing more comes.
///
/// # Errors
/// If there is no runtime for it.
pub fn rehearse(request: &[u8]) -> std::io::Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let (mut ours, theirs) = tokio::io::duplex(PIPE);
        let peer = Peer { uid: 0, pid: 1 };
        let served = tokio::spawn(serve::converse(Arc::new(Rehearsal), theirs, peer));
        // One that has heard enough ends while it is still being talked to.
        let _ = ours.write_all(request).await;
        let _ = ours.shutdown().await;
        let mut answer = Vec::new();
        ours.read_to_end(&mut answer).await?;
        let _ = served.await;
        Ok(answer)
    })
}
