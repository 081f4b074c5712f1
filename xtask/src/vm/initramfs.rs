//! Writes an initramfs: an uncompressed cpio archive in the `newc` format (the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst). Uncompressed, because under
//! emulation the guest takes longer to unpack than the host to read.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use cpio::newc;

const DIRECTORY: u32 = 0o040_755;
const REGULAR: u32 = 0o100_000;
const CHARACTER: u32 = 0o020_600;

/// An archive under construction.
#[derive(Debug)]
pub struct Initramfs<W: Write> {
    to: W,
    next_inode: u32,
    directories: BTreeSet<String>,
}

impl<W: Write> Initramfs<W> {
    /// Begins an archive with `/dev/console`, which the kernel opens for the first process.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(to: W) -> io::Result<Self> {
        let mut archive = Self { to, next_inode: 1, directories: BTreeSet::new() };
        archive.parents("dev/console")?;
        let console = newc::Builder::new("dev/console").rdev_major(5).rdev_minor(1);
        archive.entry(console, CHARACTER, &[])?;
        Ok(archive)
    }

    /// Adds a file at `path` (relative to the root, no `.` or `..` in it) with the permissions
    /// `mode`, and the directories above it.
    ///
    /// # Errors
    /// A file of 4 GiB or more, and those of writing.
    pub fn file(&mut self, path: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
        self.parents(path)?;
        self.entry(newc::Builder::new(path), REGULAR | mode & 0o7777, contents)
    }

    /// Ends the archive and gives back what it was written to.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(self) -> io::Result<W> {
        newc::trailer(self.to)
    }

    fn parents(&mut self, path: &str) -> io::Result<()> {
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            if self.directories.insert(parent.to_owned()) {
                self.entry(newc::Builder::new(parent), DIRECTORY, &[])?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, builder: newc::Builder, mode: u32, contents: &[u8]) -> io::Result<()> {
        let size = u32::try_from(contents.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a file of 4 GiB or more"))?;
        // Entries with one inode number would be one file.
        let builder = builder.ino(self.next_inode).mode(mode).nlink(1);
        self.next_inode += 1;
        let mut entry = builder.write(&mut self.to, size);
        entry.write_all(contents)?;
        entry.finish().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_reads_back() {
        let mut archive = Initramfs::new(Vec::new()).unwrap();
        archive.file("init", 0o755, b"program").unwrap();
        archive.file("a/b/c", 0o640, b"").unwrap();
        archive.file("a/b/d", 0o640, b"odd").unwrap();
        let bytes = archive.finish().unwrap();
        let mut rest = &bytes[..];
        let mut seen = Vec::new();
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            let entry = reader.entry().clone();
            if entry.is_trailer() {
                break;
            }
            let mut contents = Vec::new();
            io::Read::read_to_end(&mut reader, &mut contents).unwrap();
            seen.push((entry.name().to_owned(), entry.mode(), contents));
            rest = reader.finish().unwrap();
        }
        let wanted: [(&str, u32, &[u8]); 7] = [
            ("dev", 0o040_755, b""),
            ("dev/console", 0o020_600, b""),
            ("init", 0o100_755, b"program"),
            ("a", 0o040_755, b""),
            ("a/b", 0o040_755, b""),
            ("a/b/c", 0o100_640, b""),
            ("a/b/d", 0o100_640, b"odd"),
        ];
        assert_eq!(
            seen,
            wanted.map(|(name, mode, contents)| (name.to_owned(), mode, contents.to_vec()))
        );
    }
}
