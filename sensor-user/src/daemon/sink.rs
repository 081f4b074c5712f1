//! Where events go. A sink takes whole lines and never holds anybody up: what it cannot take is
//! counted, and said in the sink itself as soon as it can be.

mod file;
mod stdout;

use std::io;

use crate::api::types::SinkStatus;
use crate::event::json;

use super::config;

/// A place for lines.
pub trait Sink: Send {
    /// Its name, in status and metrics.
    fn name(&self) -> &'static str;

    /// Takes one line, with its newline: as a whole, or not at all.
    fn write(&mut self, line: &[u8]) -> io::Result<()>;
}

/// A sink with what has become of its lines.
struct Watched {
    sink: Box<dyn Sink>,
    status: SinkStatus,
    /// Lines that were missed since the last that was written.
    gap: u64,
}

/// All sinks.
pub struct Sinks(Vec<Watched>);

impl Sinks {
    /// Those of a configuration.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub fn open(config: &config::Sinks) -> anyhow::Result<Sinks> {
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        if config.file.enabled {
            sinks.push(Box::new(file::File::open(&config.file)?));
        }
        if config.stdout.enabled {
            sinks.push(Box::new(stdout::Stdout));
        }
        let watched = |sink: Box<dyn Sink>| {
            let status = SinkStatus { name: sink.name().to_owned(), ..SinkStatus::default() };
            Watched { sink, status, gap: 0 }
        };
        Ok(Sinks(sinks.into_iter().map(watched).collect()))
    }

    /// Gives a line to each.
    pub fn write(&mut self, line: &[u8]) {
        self.0.iter_mut().for_each(|watched| watched.write(line));
    }

    /// How they are.
    pub fn status(&self) -> Vec<SinkStatus> {
        self.0.iter().map(|watched| watched.status.clone()).collect()
    }
}

impl Watched {
    fn write(&mut self, line: &[u8]) {
        let written = self.fill_gap().and_then(|()| self.sink.write(line));
        match written {
            Ok(()) => {
                self.status.written += 1;
                self.status.trouble = None;
            }
            Err(error) => {
                self.gap += 1;
                self.status.missed += 1;
                self.status.trouble = Some(error.to_string());
            }
        }
    }

    /// Says how many lines are missing, before the first that is not.
    fn fill_gap(&mut self) -> io::Result<()> {
        if self.gap > 0 {
            let line = json::gap(self.sink.name(), self.gap);
            self.sink.write(line.as_bytes())?;
            self.gap = 0;
        }
        Ok(())
    }
}
