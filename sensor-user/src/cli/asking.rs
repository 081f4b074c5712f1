//! What the verbs that ask a daemon have in common.

use std::future::Future;
use std::path::PathBuf;

use crate::api::SOCKET_VARIABLE;
use crate::api::client::Client;

/// Which daemon is asked.
#[derive(Debug, clap::Args)]
pub struct Daemon {
    /// The daemon's socket [default: $PICKET_SOCKET, or /run/picket/picket.sock]
    #[arg(long, value_name = "SOCKET")]
    socket: Option<PathBuf>,
}

impl Daemon {
    /// The one to ask.
    pub fn client(&self) -> Client {
        Client::new(self.socket.as_deref())
    }

    /// Whether somebody said which one.
    pub fn is_named(&self) -> bool {
        self.socket.is_some() || std::env::var_os(SOCKET_VARIABLE).is_some()
    }
}

/// Waits for an answer.
///
/// # Errors
/// What `asking` comes to, or if there is no runtime.
pub fn wait<T>(asking: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(asking)
}
