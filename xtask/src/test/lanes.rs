//! Guests side by side: so many jobs at once, each with its output told apart by the lines' beginnings. What a
//! job does is not known here.

use std::{
    io::{self, Write},
    num::NonZero,
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::Result;

/// How many guests run at once unless told otherwise: one for each processor. A guest's tests run one after
/// the other, so a second processor of its own gains it little.
#[must_use]
pub fn usual() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does all of the jobs, `lanes` at a time, begun in their order; what came of each, in their order too.
///
/// # Errors
/// The first job's that could not be done. Those that have begun are carried to their end, no other is begun.
pub fn run<J: Sync, T: Send>(
    lanes: usize,
    jobs: &[J],
    work: impl Fn(&J) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = Mutex::new(jobs.iter().enumerate());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..lanes.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let job = locked(&next).next();
                    let Some((number, job)) = job else { return };
                    let outcome = work(job);
                    if outcome.is_err() {
                        locked(&next).by_ref().for_each(drop);
                    }
                    locked(&done).push((number, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// A panic in another lane is passed on when its thread is joined; here it broke nothing.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes whole lines on, each behind a label, so that those of several guests do not mix. Without a label
/// everything is passed on as it comes.
pub struct Labelled<W: Write> {
    to: W,
    label: Option<String>,
    line: Vec<u8>,
}

impl<W: Write> Labelled<W> {
    /// Passes on to `to`.
    pub fn new(to: W, label: Option<String>) -> Self {
        Self { to, label, line: Vec::new() }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let label = self.label.as_deref().unwrap_or_default();
        // In one piece: each is written under the stream's own lock.
        let line = [label.as_bytes(), b": ", &self.line].concat();
        self.line.clear();
        self.to.write_all(&line)
    }
}

impl<W: Write> Write for Labelled<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.label.is_none() {
            return self.to.write(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.pass_on()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Drop for Labelled<W> {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.line.push(b'\n');
            // Nobody is left to be told that it cannot be shown.
            let _ = self.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::bail;

    use super::*;

    #[test]
    fn no_more_jobs_run_at_once_than_there_are_lanes() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let jobs: Vec<usize> = (0..20).collect();
        let done = run(3, &jobs, |job| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(*job)
        });
        assert_eq!(done.unwrap(), jobs);
        assert!(most.into_inner() <= 3);
    }

    #[test]
    fn a_job_that_cannot_be_done_is_the_last_to_begin() {
        let begun = AtomicUsize::new(0);
        let outcome = run(1, &[1, 2, 3], |job| {
            begun.fetch_add(1, Ordering::SeqCst);
            if *job == 2 { bail!("no") } else { Ok(()) }
        });
        assert!(outcome.is_err());
        assert_eq!(begun.into_inner(), 2);
    }

    #[test]
    fn lines_are_passed_on_whole_and_behind_their_label() {
        let mut seen = Vec::new();
        let mut out = Labelled::new(&mut seen, Some("6.1".to_owned()));
        for piece in ["one\ntw", "o\n", "rest"] {
            out.write_all(piece.as_bytes()).unwrap();
        }
        drop(out);
        assert_eq!(String::from_utf8(seen).unwrap(), "6.1: one\n6.1: two\n6.1: rest\n");
        let mut plain = Vec::new();
        Labelled::new(&mut plain, None).write_all(b"as it is").unwrap();
        assert_eq!(plain, b"as it is");
    }
}
