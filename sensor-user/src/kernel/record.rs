//! What a kernel side that outlives its loader says of itself: who made it, and the counters that
//! must never go back. Lives in a pinned map of one value, beside the maps of the programs.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;

use super::error::KernelError;
use super::sys;

/// `picket` and a version of this structure.
const MAGIC: u64 = u64::from_be_bytes(*b"picket\0\x01");
/// Name of the map and of its pin.
pub const NAME: &str = "RECORD";

/// The value. Its beginning, up to `version`, keeps its place in all versions to come, so that any
/// picket can say what it found.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    magic: u64,
    /// [`sensor_ebpf::ABI_VERSION`] of the programs in force.
    pub abi: u32,
    /// Which directory of links is in force.
    pub generation: u32,
    /// Version of the picket that made it, in ASCII, filled up with NULs.
    version: [u8; 32],
    /// SHA-256 of the object that the programs come from.
    pub object: [u8; 32],
    /// The epoch that the next agent gets. A tag must never fit an agent that it was not made for.
    pub next_epoch: u32,
    /// The id that the next table gets. What a task remembers under one must not be used under another.
    pub next_table: u32,
}

const _: () = assert!(size_of::<Record>() == 88);

impl Record {
    /// The first record of a kernel side that is made now.
    pub fn new(object: [u8; 32], version: &str) -> Record {
        let mut record = Record {
            magic: MAGIC,
            abi: sensor_ebpf::ABI_VERSION,
            generation: 0,
            version: [0; 32],
            object,
            next_epoch: 1,
            next_table: 1,
        };
        record.set_version(version);
        record
    }

    /// Says who made what is in force now.
    pub fn set_version(&mut self, version: &str) {
        self.version = [0; 32];
        let len = version.len().min(self.version.len());
        self.version[..len].copy_from_slice(&version.as_bytes()[..len]);
    }

    /// Version of the picket that made it.
    pub fn version(&self) -> String {
        let end = self.version.iter().position(|byte| *byte == 0).unwrap_or(self.version.len());
        self.version[..end].escape_ascii().to_string()
    }
}

/// The map.
#[derive(Debug)]
pub struct RecordMap(OwnedFd);

impl RecordMap {
    /// Makes and pins it.
    pub fn create(at: &Path, record: &Record) -> Result<RecordMap, KernelError> {
        let size = size_of::<Record>() as u32;
        let failed = |what| move |source| KernelError::Call { what, source };
        let map = sys::create_map(BPF_MAP_TYPE_ARRAY, NAME, size, 1, 0)
            .map_err(failed("make the map of the record"))?;
        let map = RecordMap(map);
        map.write(record)?;
        sys::pin(map.0.as_fd(), at).map_err(failed("pin the map of the record"))?;
        Ok(map)
    }

    /// Opens it; `None` where there is none.
    pub fn open(at: &Path) -> Result<Option<RecordMap>, KernelError> {
        match sys::open_pin(at) {
            Ok(fd) => Ok(Some(RecordMap(fd))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => {
                Err(KernelError::Pins { what: "open the pin", at: at.to_owned(), source })
            }
        }
    }

    /// What it says; `None` if it is no record of ours.
    pub fn read(&self) -> Result<Option<Record>, KernelError> {
        let failed = |source| KernelError::Call { what: "read the map of the record", source };
        let sizes = sys::value_size(self.0.as_fd()).map_err(failed)?;
        if sizes != size_of::<Record>() as u32 {
            return Ok(None);
        }
        let mut record = Record::new([0; 32], "");
        sys::lookup_into(self.0.as_fd(), &0_u32, &mut record).map_err(failed)?;
        Ok((record.magic == MAGIC).then_some(record))
    }

    /// Replaces it.
    pub fn write(&self, record: &Record) -> Result<(), KernelError> {
        let failed = |source| KernelError::Call { what: "write the map of the record", source };
        sys::update(self.0.as_fd(), &0_u32, &[*record]).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_kept_as_they_fit() {
        let mut record = Record::new([7; 32], "0.1.0");
        assert_eq!(record.version(), "0.1.0");
        record.set_version(&"9".repeat(40));
        assert_eq!(record.version(), "9".repeat(32));
        record.set_version("a\nb");
        assert_eq!(record.version(), "a\\nb");
    }
}
