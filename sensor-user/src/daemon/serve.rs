//! The control socket: who is let in, how much of it there may be at once, and how long it may take.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};

use super::config::Limits;
use super::core::{Core, lock};
use super::peer::{Peer, Refusal};
use super::routes::{self, Body};
use crate::kernel::sys;

/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a request may take until its answer begins. It is the daemon's work that takes so long, not the
/// client, so this is for a machine that is short of everything.
const ANSWER: Duration = Duration::from_secs(5 * 60);
/// How long reading an answer may take that does not stream.
const READING: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;
/// Connections that root has beyond the limit, so that others cannot keep it out.
const RESERVE: usize = 16;

/// Makes the socket. One that a daemon before this left is replaced; the caller holds the lock that
/// says that there is no other.
pub fn listen(at: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(at) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(at)?;
    // Anybody may ask; what is answered depends on who.
    fs::set_permissions(at, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// What is served: the daemon, or in tests something in its place.
pub trait House: Send + Sync + 'static {
    /// How many may come in.
    fn limits(&self) -> Limits;

    /// How long a request may take until its answer begins.
    fn patience(&self) -> Duration {
        ANSWER
    }

    /// Whether a process bears no tag; `false` also where that cannot be told.
    fn is_free(&self, pid: i32) -> bool;

    /// Answers a request. `streaming` is set where the answer goes on for as long as it is read.
    fn answer(
        self: Arc<Self>,
        peer: Peer,
        request: Request<Incoming>,
        streaming: Arc<AtomicBool>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

impl House for Core {
    fn limits(&self) -> Limits {
        self.config().limits.clone()
    }

    fn is_free(&self, pid: i32) -> bool {
        // The kernel's programs refuse an agent before it gets here; this is for a socket that an
        // untagged process handed on. A peer that has ended can be nobody's agent any more, and asks
        // nothing.
        let process = sys::pidfd_open(pid);
        process.is_ok_and(|process| matches!(self.tags.of(process.as_fd()), Ok(None)))
    }

    fn answer(
        self: Arc<Self>,
        peer: Peer,
        request: Request<Incoming>,
        streaming: Arc<AtomicBool>,
    ) -> impl Future<Output = Response<Body>> + Send {
        routes::answer(self, peer, request, streaming)
    }
}

/// Connections that are open, by user.
#[derive(Default)]
struct Open(Mutex<HashMap<u32, usize>>);

/// One open connection, until it is dropped.
struct Ticket {
    open: Arc<Open>,
    uid: u32,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = lock(&self.open.0);
        if let Some(count) = open.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.uid);
            }
        }
    }
}

/// Lets a connection in, if there is room.
fn admit(open: &Arc<Open>, limits: &Limits, uid: u32) -> Option<Ticket> {
    let mut counts = lock(&open.0);
    let all: usize = counts.values().sum();
    let own = counts.get(&uid).copied().unwrap_or(0);
    let room = match uid {
        0 => all < limits.connections + RESERVE,
        _ => all < limits.connections && own < limits.connections_per_user,
    };
    if !room {
        return None;
    }
    *counts.entry(uid).or_default() += 1;
    Some(Ticket { open: open.clone(), uid })
}

/// Serves for as long as the daemon runs.
pub async fn serve(house: Arc<impl House>, listener: UnixListener) {
    let open = Arc::new(Open::default());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Out of descriptors, or the peer is gone already: neither is worth a busy loop.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let Some(peer) = identify(&*house, &stream) else {
            turn_away(&stream, "403 Forbidden", "an agent may not control what confines it");
            continue;
        };
        let Some(ticket) = admit(&open, &house.limits(), peer.uid) else {
            turn_away(&stream, "503 Service Unavailable", "too many connections; try again later");
            continue;
        };
        let house = house.clone();
        tokio::spawn(async move {
            converse(house, stream, peer).await;
            drop(ticket);
        });
    }
}

/// Who connected; `None` if it bears a tag, or cannot be told.
fn identify(house: &impl House, stream: &UnixStream) -> Option<Peer> {
    let credentials = stream.peer_cred().ok()?;
    let pid = credentials.pid()?;
    house.is_free(pid).then(|| Peer { uid: credentials.uid(), pid: pid.cast_unsigned() })
}

/// Answers without reading.
fn turn_away(stream: &UnixStream, status: &str, why: &str) {
    let body = format!("{{\"error\":\"{why}\"}}\n");
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // As much as fits at once: nobody waits for whoever is turned away.
    let _ = stream.try_write((head + &body).as_bytes());
}

/// The refusal for what has not been answered in time. What was begun is not broken off.
fn late(patience: Duration) -> Refusal {
    let patience = humantime::format_duration(patience);
    Refusal::Late(format!("no answer within {patience}: it may still be done; ask again later"))
}

/// One connection, one exchange.
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    house: Arc<impl House>,
    stream: S,
    peer: Peer,
) {
    let (streaming, patience) = (Arc::new(AtomicBool::new(false)), house.patience());
    let service = service_fn(|request| {
        let (house, streaming) = (house.clone(), streaming.clone());
        async move {
            let answer = tokio::time::timeout(patience, house.answer(peer, request, streaming));
            Ok::<_, Infallible>(answer.await.unwrap_or_else(|_| routes::refuse(&late(patience))))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let whole = HEAD + patience + READING;
    // A stream sees to itself: it ends when its reader does not read.
    loop {
        match tokio::time::timeout(whole, connection.as_mut()).await {
            Err(_) if streaming.load(Ordering::Relaxed) => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests;
