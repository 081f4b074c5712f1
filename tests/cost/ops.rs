//! The operations. Each is one closure that does the thing once; a failure ends the program, for a
//! refused operation would look cheap. What all share is here, the operations by their object below.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::WORK;

mod files;
mod ipc;
mod processes;
mod sockets;

/// One operation.
pub struct Op {
    times: u32,
    body: Box<dyn Fn()>,
}

impl Op {
    fn new(times: u32, body: impl Fn() + 'static) -> Op {
        Op { times, body: Box::new(body) }
    }

    /// Nanoseconds for one, by the guest's clock; warmed up.
    pub fn nanoseconds(&self) -> f64 {
        for _ in 0..self.times / 10 + 2 {
            (self.body)();
        }
        let start = Instant::now();
        for _ in 0..self.times {
            (self.body)();
        }
        start.elapsed().as_nanos() as f64 / f64::from(self.times)
    }
}

/// An operation that is not made yet: each is made only if it is measured, so that a policy need not
/// allow the others.
pub struct Entry {
    /// Its name in the table.
    pub name: &'static str,
    /// The hooks that it passes and Picket is at.
    pub hooks: &'static str,
    /// What makes it ready to be measured.
    pub make: fn() -> Op,
    /// Whether this kernel can do it.
    pub possible: fn() -> bool,
}

const fn entry(name: &'static str, hooks: &'static str, make: fn() -> Op) -> Entry {
    Entry { name, hooks, make, possible: || true }
}

impl Entry {
    const fn only_if(self, possible: fn() -> bool) -> Entry {
        Entry { possible, ..self }
    }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    [files::ALL, processes::ALL, sockets::ALL, ipc::ALL].into_iter().flatten()
}

/// A file this many directories below the root.
pub fn deep(depth: usize) -> PathBuf {
    let mut path = PathBuf::from(WORK);
    for level in 3..=depth {
        path.push(level.to_string());
    }
    if depth == 1 { PathBuf::from("/tmp/f") } else { path.join("f") }
}

/// A name in the working directory.
fn at(name: &str) -> PathBuf {
    Path::new(WORK).join(name)
}

fn check(code: impl Into<i64>, what: &str) -> i32 {
    let code = code.into();
    assert!(code >= 0, "{what}: {}", std::io::Error::last_os_error());
    code as i32
}
