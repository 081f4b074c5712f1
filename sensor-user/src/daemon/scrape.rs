//! Metrics on a TCP port, for a Prometheus that cannot use the control socket. Nothing else is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::config::Limits;
use super::metrics;
use super::peer::{Peer, Refusal};
use super::routes::{self, Body};
use super::serve::{self, House};

/// Connections at once; others wait.
const CONNECTIONS: usize = 8;

/// Whoever has the text.
pub trait Metered: Send + Sync + 'static {
    /// The metrics, as text; may take a moment.
    fn metrics(&self) -> String;
}

impl Metered for super::core::Core {
    fn metrics(&self) -> String {
        metrics::text(self)
    }
}

struct Scrape<M>(Arc<M>);

impl<M: Metered> House for Scrape<M> {
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
        if request.method() != Method::GET || request.uri().path() != "/metrics" {
            return routes::refuse(&Refusal::Missing("there is only GET /metrics here".to_owned()));
        }
        let text = tokio::task::spawn_blocking(move || self.0.metrics()).await;
        let text = Bytes::from(text.unwrap_or_default());
        routes::typed(metrics::CONTENT_TYPE, Full::new(text).boxed())
    }
}

/// Listens at an address.
///
/// # Errors
/// If it cannot be had.
pub async fn listen(at: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(at).await
}

/// Serves for as long as the daemon runs.
pub async fn serve(of: Arc<impl Metered>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let house = Arc::new(Scrape(of));
    loop {
        let Ok(ticket) = room.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let house = house.clone();
        // Nobody in particular: the port tells no users apart.
        let peer = Peer { uid: u32::MAX, pid: 0 };
        tokio::spawn(async move {
            serve::converse(house, stream, peer).await;
            drop(ticket);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    struct Text;

    impl Metered for Text {
        fn metrics(&self) -> String {
            "picket_enforcing 1\n".to_owned()
        }
    }

    #[test]
    fn there_are_metrics_and_nothing_else_also_while_others_are_slow() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(listen(([127, 0, 0, 1], 0).into())).unwrap();
        let at = listener.local_addr().unwrap();
        runtime.spawn(serve(Arc::new(Text), listener));
        // More than there is room for say nothing: each is given up, and the next gets in.
        let slow: Vec<TcpStream> =
            (0..CONNECTIONS + 4).map(|_| TcpStream::connect(at).unwrap()).collect();
        for (request, expected) in [
            ("GET /metrics", "HTTP/1.1 200 OK"),
            ("GET /v1/status", "HTTP/1.1 404 Not Found"),
            ("POST /metrics", "HTTP/1.1 404 Not Found"),
        ] {
            let mut stream = TcpStream::connect(at).unwrap();
            write!(stream, "{request} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with(expected), "{request}: {answer}");
            assert_eq!(answer.ends_with("\r\npicket_enforcing 1\n"), expected.contains("200"));
        }
        drop(slow);
    }
}
