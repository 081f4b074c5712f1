//! `picket daemon` itself, as a program: what it enforces, and what outlives it.

mod adoption;
mod adversity;
mod attach;
mod containers;
mod figures;
mod lifecycle;
mod pipes;
mod policies;
mod prompt;
mod proof;
mod removal;
mod run;
mod siege;
mod soak;
mod stream;
mod tagging;

use crate::support::child::Child;
use crate::support::daemon::Home;
use crate::support::place::Place;
use crate::support::sys::files::touch;
use crate::support::sys::{Res, process};

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

/// Says a figure, also where the harness keeps what tests print.
pub fn say(text: &str) {
    let _ = process::complain(&format!("{text}\n"));
}

/// A number that the environment sets, or what it is otherwise.
pub fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
