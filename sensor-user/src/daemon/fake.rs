//! Something in the daemon's place, for tests: the real server, the real hub, and no kernel.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

use super::config::Limits;
use super::follow::{self, Source};
use super::hub::Hub;
use super::past::Past;
use super::peer::{Peer, Refusal};
use super::routes::{self, Body};
use super::serve::{self, House};
use super::sink::Sinks;
use crate::api::types::NewAgent;

/// In the daemon's place.
pub struct Fake {
    pub hub: Hub,
    pub limits: Limits,
    /// Whether every peer is an agent.
    pub strict: bool,
    /// How long an answer may take.
    pub patience: Duration,
    /// Requests that got here.
    pub asked: AtomicUsize,
}

impl Fake {
    /// One with these limits.
    pub fn new(limits: Limits, past: Past) -> Fake {
        Fake::over(Sinks::none(), limits, past)
    }

    /// One with these sinks.
    pub fn over(sinks: Sinks, limits: Limits, past: Past) -> Fake {
        let hub = Hub::new(sinks, past, limits.backlog);
        Fake {
            hub,
            limits,
            strict: false,
            patience: Duration::from_secs(60),
            asked: AtomicUsize::new(0),
        }
    }
}

impl Source for Fake {
    fn hub(&self) -> &Hub {
        &self.hub
    }
}

impl House for Fake {
    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn is_free(&self, _: i32) -> bool {
        !self.strict
    }

    async fn answer(
        self: Arc<Self>,
        _: Peer,
        request: Request<Incoming>,
        streaming: Arc<AtomicBool>,
    ) -> Response<Body> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        let answer = match (head.method, head.uri.path()) {
            (Method::GET, "/v1/events") => {
                streaming.store(true, Ordering::Relaxed);
                // As root, whoever runs the tests.
                routes::read_query(head.uri.query().unwrap_or_default()).map(|query| {
                    let (last, body) = follow::body(self, 0, query);
                    let mut response = routes::typed("application/x-ndjson", body);
                    response.headers_mut().insert(crate::api::LAST, last.into());
                    response
                })
            }
            (Method::POST, "/v1/agents") => match routes::read::<NewAgent>(body).await {
                Ok(new) => routes::json(&new),
                Err(refusal) => Err(refusal),
            },
            (Method::GET, "/v1/never") => std::future::pending().await,
            (Method::GET, "/v1/health") => routes::json(&"well"),
            _ => Err(Refusal::Missing("there is no such thing".to_owned())),
        };
        answer.unwrap_or_else(|refusal| routes::refuse(&refusal))
    }
}

/// A server that runs, on a socket of its own, until it is dropped.
pub struct Running {
    pub house: Arc<Fake>,
    pub socket: PathBuf,
    /// Ends every connection with it, as a killed daemon would.
    _runtime: Runtime,
}

impl Running {
    /// Begins.
    pub fn start(house: Fake, socket: &Path) -> io::Result<Running> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let house = Arc::new(house);
        let listener: UnixListener = runtime.block_on(async { serve::listen(socket) })?;
        runtime.spawn(serve::serve(house.clone(), listener));
        Ok(Running { house, socket: socket.to_owned(), _runtime: runtime })
    }
}

/// A directory for one test, which is removed with what is in it.
pub struct Room(pub PathBuf);

impl Room {
    /// A new one.
    pub fn new(name: &str) -> Room {
        let at = std::env::temp_dir().join(format!("picket-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&at);
        std::fs::create_dir_all(&at).unwrap();
        Room(at)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
