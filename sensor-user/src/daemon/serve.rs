//! The control socket: who is let in, how much of it there may be at once, and how long it may take.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};

use super::core::{Core, Peer, lock};
use super::routes;
use crate::kernel::sys;

/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a whole exchange may take that does not stream.
const EXCHANGE: Duration = Duration::from_secs(60);
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
fn admit(open: &Arc<Open>, core: &Core, uid: u32) -> Option<Ticket> {
    let limits = core.config().limits.clone();
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
pub async fn serve(core: Arc<Core>, listener: UnixListener) {
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
        let Some(peer) = identify(&core, &stream) else {
            turn_away(&stream, "403 Forbidden", "an agent may not control what confines it");
            continue;
        };
        let Some(ticket) = admit(&open, &core, peer.uid) else {
            turn_away(&stream, "503 Service Unavailable", "too many connections; try again later");
            continue;
        };
        tokio::spawn(converse(core.clone(), stream, peer, ticket));
    }
}

/// Who connected; `None` if it bears a tag, or cannot be told.
fn identify(core: &Core, stream: &UnixStream) -> Option<Peer> {
    let credentials = stream.peer_cred().ok()?;
    let pid = credentials.pid()?;
    // The kernel's programs refuse an agent before it gets here; this is for a socket that an
    // untagged process handed on. A peer that has ended can be nobody's agent any more, and asks
    // nothing.
    let process = sys::pidfd_open(pid).ok()?;
    match core.tags.of(process.as_fd()) {
        Ok(None) => Some(Peer { uid: credentials.uid(), pid: pid.cast_unsigned() }),
        _ => None,
    }
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

/// One connection, one exchange.
async fn converse(core: Arc<Core>, stream: UnixStream, peer: Peer, _ticket: Ticket) {
    let streaming = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        let (core, streaming) = (core.clone(), streaming.clone());
        async move {
            Ok::<_, std::convert::Infallible>(routes::answer(core, peer, request, streaming).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A stream sees to itself: it ends when its reader does not read.
    loop {
        match tokio::time::timeout(EXCHANGE, connection.as_mut()).await {
            Err(_) if streaming.load(Ordering::Relaxed) => {}
            _ => return,
        }
    }
}
