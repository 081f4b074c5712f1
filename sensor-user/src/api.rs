//! The control API: HTTP and JSON on a unix socket. [`types`] is what goes over it, [`client`] what
//! the verbs of the command line use; the serving side is part of the daemon. `docs/daemon.md`
//! describes it for other programs.

pub mod client;
pub mod types;

/// The socket, unless told otherwise.
pub const SOCKET: &str = "/run/picket/picket.sock";
/// Environment variable that names another.
pub const SOCKET_VARIABLE: &str = "PICKET_SOCKET";
/// Header of an answer with events: number of the last line there was when it began.
pub const LAST: &str = "picket-last";
