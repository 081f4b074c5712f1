//! Room on the host for what a guest writes. Nothing here frees any.

use std::path::Path;

use anyhow::Context as _;

use super::failure::Failure;

/// Below this a machine does not start and does not go on: 64 MiB. QEMU pauses a guest whose disk
/// cannot grow and says so to nobody, so the run would stand still until its time is up.
pub const FLOOR: u64 = 64 << 20;

/// Whether `directory`, which holds the machine's disks, has room.
///
/// # Errors
/// [`Failure::Full`] where it has less than [`FLOOR`], and statvfs(3)'s own.
pub fn check(directory: &Path) -> Result<(), Failure> {
    let of = rustix::fs::statvfs(directory)
        .with_context(|| format!("cannot ask what room {} has", directory.display()))?;
    judge(directory, of.f_bavail.saturating_mul(of.f_frsize))
}

fn judge(directory: &Path, left: u64) -> Result<(), Failure> {
    if left >= FLOOR {
        return Ok(());
    }
    let holder = directory.parent().unwrap_or(directory);
    Err(Failure::Full { directory: holder.to_owned(), mib: left >> 20 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_and_a_roomy_one_is_not() {
        let error = judge(Path::new("/t/picket-vm-1"), FLOOR - 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no room for what the guest writes: 63 MiB are left in /t (free some, or name another \
             directory in TMPDIR)"
        );
        assert!(judge(Path::new("/t/picket-vm-1"), FLOOR).is_ok());
    }
}
