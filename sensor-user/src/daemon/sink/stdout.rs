//! The daemon's standard output.

use std::io::{self, Write as _};
use std::sync::Arc;

use super::super::hub::Record;
use super::{Sink, Taken};

pub struct Stdout;

impl Sink for Stdout {
    fn write(&mut self, records: &[Arc<Record>]) -> io::Result<Taken> {
        // The lock is not held between lines: others print too.
        for (done, record) in records.iter().enumerate() {
            let mut out = io::stdout().lock();
            let written = out.write_all(record.text.as_bytes()).and_then(|()| out.flush());
            match written {
                Ok(()) => {}
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok(Taken { done, refused: 0 }),
            }
        }
        Ok(Taken { done: records.len(), refused: 0 })
    }
}
