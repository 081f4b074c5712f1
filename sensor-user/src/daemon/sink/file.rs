//! A file that is put aside when it has grown: `path` becomes `path.1`, that `path.2`, and so on.

use std::fs::{self, DirBuilder, File as StdFile, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::super::config::FileSink;
use super::Sink;

pub struct File {
    config: FileSink,
    file: StdFile,
    len: u64,
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
        Ok(File { config: config.clone(), file, len })
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
    fn name(&self) -> &'static str {
        "file"
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
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
            sink.write(format!("{number}{}\n", "x".repeat(38)).as_bytes()).unwrap();
        }
        let first = |path: &Path| fs::read_to_string(path).unwrap().chars().next();
        assert_eq!(first(&path), Some('8'));
        assert_eq!(first(&aside(&path, 1)), Some('6'));
        assert_eq!(first(&aside(&path, 2)), Some('4'));
        assert!(!aside(&path, 3).exists());
        // What is there already counts.
        let mut sink = File::open(&config).unwrap();
        sink.write(&[b'y'; 40]).unwrap();
        assert_eq!(first(&path), Some('y'));
        fs::remove_dir_all(&dir).unwrap();
    }
}
