//! Disk images for guests: a directory packed into an ext4 file system, without root and without
//! mounting anything.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{apt, step::Log};

const MIB: u64 = 1 << 20;

/// What a directory will take on a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes, in whole blocks of 4 KiB a file.
    pub bytes: u64,
    /// Files, directories and the rest.
    pub inodes: u64,
}

/// Packs `tree` into a new image with `spare_mib` MiB of free space.
///
/// # Errors
/// When the tree cannot be read, and mke2fs' own.
pub fn pack(log: &Log, tree: &Path, image: &Path, spare_mib: u64) -> Result<()> {
    log.run(&mut mke2fs(tree, image, spare_mib)?)
}

/// The command that packs `tree`; makes the (sparse) image file.
///
/// # Errors
/// As [`pack`].
pub fn mke2fs(tree: &Path, image: &Path, spare_mib: u64) -> Result<Command> {
    let size = measure(tree).with_context(|| format!("cannot read all of {}", tree.display()))?;
    // A tenth for directories' and extents' blocks, 256 bytes an inode, and what ext4 itself takes.
    let bytes = size.bytes + size.bytes / 10 + size.inodes * 512 + (spare_mib + 16) * MIB;
    let file = File::create(image).with_context(|| format!("cannot make {}", image.display()))?;
    file.set_len(bytes.next_multiple_of(MIB))?;
    let mut mke2fs = Command::new(apt::program("mke2fs")?);
    mke2fs.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0"]);
    // The guest's writes are thrown away, so a journal only costs; and nothing may be left for a
    // kernel thread to initialise while somebody measures.
    mke2fs.args(["-O", "^has_journal", "-E", "assume_storage_prezeroed=1,lazy_itable_init=0"]);
    mke2fs.arg("-N").arg((size.inodes * 2 + spare_mib * 64 + 1024).to_string());
    mke2fs.arg("-d").arg(tree).arg(image);
    Ok(mke2fs)
}

/// Measures a directory; links are not followed, and a file with several names counts each time.
///
/// # Errors
/// Those of reading directories.
pub fn measure(tree: &Path) -> Result<Size> {
    let mut size = Size::default();
    let mut directories = vec![tree.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata().with_context(|| entry.path().display().to_string())?;
            size.inodes += 1;
            size.bytes += metadata.size().next_multiple_of(4096);
            if metadata.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_blocks() {
        let dir = std::env::temp_dir().join(format!("picket-disk-test-{}", std::process::id()));
        fs::create_dir_all(dir.join("empty")).unwrap();
        fs::write(dir.join("one"), [0; 1]).unwrap();
        fs::write(dir.join("two"), [0; 4097]).unwrap();
        let size = measure(&dir).unwrap();
        let directory = fs::metadata(dir.join("empty")).unwrap().size().next_multiple_of(4096);
        assert_eq!(size, Size { bytes: 4096 + 8192 + directory, inodes: 3 });
        fs::remove_dir_all(dir).unwrap();
    }
}
