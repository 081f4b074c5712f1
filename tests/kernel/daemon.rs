//! `picket daemon` itself, as a program: what it enforces, and what outlives it.

mod attach;
mod figures;
mod lifecycle;
mod policies;
mod prompt;
mod proof;
mod removal;
mod run;
mod stream;
mod tagging;

use crate::support::child::Child;
use crate::support::daemon::Home;
use crate::support::place::Place;
use crate::support::sys::Res;
use crate::support::sys::files::touch;

/// A policy under which `public` of a directory may be read.
pub fn reads_public(place: &Place) -> String {
    format!("files:\n  - allow: [read]\n    paths: ['{}/public']", place.path().display())
}

/// Reading what [`reads_public`] does not allow.
pub const SECRET: u32 = 0;
/// Reading what it allows.
pub const PUBLIC: u32 = 1;

/// A process that tries [`SECRET`] or [`PUBLIC`].
pub fn reader(home: &Home, place: &Place) -> Child {
    let (secret, public) = (place.file("secret"), place.file("public"));
    home.child(move |step| -> Res { touch(if step == SECRET { &secret } else { &public }, 0) })
}
