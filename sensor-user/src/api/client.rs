//! The calling side of the control API.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::types::{EventQuery, Failure};
use super::{LAST, SOCKET, SOCKET_VARIABLE};

/// A daemon that can be asked.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer, or not the one that was wanted.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no daemon answers at {}: {why}; start one with `systemctl start picket`, or as root with \
         `picket daemon`", socket.display()
    )]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// Why. Said with the rest, so it is no cause to be said behind it once more.
        why: io::Error,
    },
    /// The daemon says no.
    #[error("{message}")]
    Refused {
        /// The status of HTTP.
        status: StatusCode,
        /// What the daemon says.
        message: String,
    },
    /// Something on the way.
    #[error("the daemon at {} does not answer as it should: {what}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl Client {
    /// The daemon at a socket; `None` takes the one that the environment names, or the usual one.
    #[must_use]
    pub fn new(socket: Option<&Path>) -> Client {
        let named = || std::env::var_os(SOCKET_VARIABLE).map(PathBuf::from);
        let socket = socket.map(Path::to_owned).or_else(named);
        Client { socket: socket.unwrap_or_else(|| SOCKET.into()) }
    }

    /// Whether somebody listens.
    #[must_use]
    pub fn is_there(&self) -> bool {
        std::os::unix::net::UnixStream::connect(&self.socket).is_ok()
    }

    /// What to say where nobody listens.
    #[must_use]
    pub fn absent(&self) -> ClientError {
        let why = match std::os::unix::net::UnixStream::connect(&self.socket) {
            Err(error) => error,
            Ok(_) => io::ErrorKind::NotConnected.into(),
        };
        ClientError::NoDaemon { socket: self.socket.clone(), why }
    }

    fn broken(&self, what: impl std::fmt::Display) -> ClientError {
        ClientError::Broken { socket: self.socket.clone(), what: what.to_string() }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|why| ClientError::NoDaemon { socket: self.socket.clone(), why })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "picket");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        let request = request.body(body).map_err(|error| self.broken(error))?;
        let response = sender.send_request(request).await.map_err(|error| self.broken(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.collect().await.map_err(|error| self.broken(error))?.to_bytes();
        let message = match serde_json::from_slice::<Failure>(&body) {
            Ok(failure) => failure.error,
            Err(_) => format!("the daemon answers {status}"),
        };
        Err(ClientError::Refused { status, message })
    }

    async fn parse<T: DeserializeOwned>(
        &self,
        response: Response<Incoming>,
    ) -> Result<T, ClientError> {
        let body = response.collect().await.map_err(|error| self.broken(error))?.to_bytes();
        serde_json::from_slice(&body).map_err(|error| self.broken(error))
    }

    /// Asks.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let response = self.exchange(Method::GET, path, None).await?;
        self.parse(response).await
    }

    /// Asks for text.
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let response = self.exchange(Method::GET, path, None).await?;
        let body = response.collect().await.map_err(|error| self.broken(error))?.to_bytes();
        String::from_utf8(body.to_vec()).map_err(|error| self.broken(error))
    }

    /// Has something done that answers with a `T`.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(error))?;
        let response = self.exchange(method, path, Some(body)).await?;
        self.parse(response).await
    }

    /// Has something done that answers nothing.
    pub async fn act(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(), ClientError> {
        let body = body.map(serde_json::to_vec).transpose().map_err(|error| self.broken(error))?;
        self.exchange(method, path, body).await.map(drop)
    }

    /// Streams events.
    pub async fn events(&self, query: &EventQuery) -> Result<Events, ClientError> {
        let query = serde_urlencoded::to_string(query).map_err(|error| self.broken(error))?;
        let response = self.exchange(Method::GET, &format!("/v1/events?{query}"), None).await?;
        let last = response.headers().get(LAST).and_then(|last| last.to_str().ok()?.parse().ok());
        Ok(Events { last, body: response.into_body(), rest: Vec::new() })
    }
}

/// A stream of lines, each a JSON object.
pub struct Events {
    /// Number of the last line there was when the stream began.
    pub last: Option<u64>,
    body: Incoming,
    rest: Vec<u8>,
}

impl Events {
    /// The next line, without its newline; `None` at the end.
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = line.trim_ascii_end();
                if line.is_empty() {
                    continue;
                }
                return String::from_utf8(line.to_vec()).map(Some).map_err(io::Error::other);
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
