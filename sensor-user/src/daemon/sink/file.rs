//! A file that is put aside when it has grown: `path` becomes `path.1`, that `path.2`, and so on.

use std::fs::{self, DirBuilder, File as StdFile, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::super::config::FileSink;
use super::super::hub::Record;
use super::{Sink, Taken, gap};

pub struct File {
    config: FileSink,
    file: StdFile,
    len: u64,
    /// Lines that were missed since the last that was written.
    gap: u64,
}

impl File {
    /// Opens it, and makes its directory where there is none.
    pub fn open(config: &FileSink) -> anyhow::Result<File> {
        let path = &config.path;
        if let Some(dir) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o750)
                .create(dir)
                .with_context(|| format!("cannot make the directory {}", dir.display()))?;
        }
        let (file, len) =
            open(path).with_context(|| format!("cannot open the event log {}", path.display()))?;
        Ok(File { config: config.clone(), file, len, gap: 0 })
    }

    /// Puts the file aside and begins another. Where that fails the file just grows.
    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: u32| aside(&self.config.path, number);
        if self.config.keep == 0 {
            fs::remove_file(&self.config.path)?;
        } else {
            for number in (1..self.config.keep).rev() {
                match fs::rename(numbered(number), numbered(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::rename(&self.config.path, numbered(1))?;
        }
        (self.file, self.len) = open(&self.config.path)?;
        Ok(())
    }
}

fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> io::Result<(StdFile, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

impl Sink for File {
    fn write(&mut self, records: &[Arc<Record>]) -> io::Result<Taken> {
        for record in records {
            let written = self.fill_gap().and_then(|()| self.append(record.text.as_bytes()));
            if let Err(error) = written {
                self.gap += 1;
                return Err(error);
            }
        }
        Ok(Taken { done: records.len(), refused: 0 })
    }
}

impl File {
    /// Says how many lines are missing, before the first that is not.
    fn fill_gap(&mut self) -> io::Result<()> {
        if self.gap > 0 {
            self.append(gap("file", self.gap).text.as_bytes())?;
            self.gap = 0;
        }
        Ok(())
    }

    /// One line, as a whole or not at all.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.len > 0 && self.len + line.len() as u64 > self.config.max_size {
            self.rotate()?;
        }
        match self.file.write_all(line) {
            Ok(()) => {
                self.len += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a line would spoil the next one. Cutting needs no room, also on a full disk.
                self.file.set_len(self.len)?;
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_put_aside_and_the_oldest_goes() {
        let dir = std::env::temp_dir().join(format!("picket-sink-{}", std::process::id()));
        let path = dir.join("events.jsonl");
        let config = FileSink { enabled: true, path: path.clone(), max_size: 100, keep: 2 };
        let mut sink = File::open(&config).unwrap();
        for number in 0..10 {
            sink.append(format!("{number}{}\n", "x".repeat(38)).as_bytes()).unwrap();
        }
        let first = |path: &Path| fs::read_to_string(path).unwrap().chars().next();
        assert_eq!(first(&path), Some('8'));
        assert_eq!(first(&aside(&path, 1)), Some('6'));
        assert_eq!(first(&aside(&path, 2)), Some('4'));
        assert!(!aside(&path, 3).exists());
        // What is there already counts.
        let mut sink = File::open(&config).unwrap();
        sink.append(&[b'y'; 40]).unwrap();
        assert_eq!(first(&path), Some('y'));
        fs::remove_dir_all(&dir).unwrap();
    }
}
