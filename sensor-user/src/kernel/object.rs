//! The kernel programs that this build carries, and what makes them the same as, or other than,
//! those that are in force.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// The kernel programs, as `build.rs` left them.
#[cfg(picket_bpf_object)]
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/picket.bpf.o"));
/// A build without the BPF toolchain carries no programs.
#[cfg(not(picket_bpf_object))]
pub static OBJECT: &[u8] = &[];

/// Version of this build: the crate's, or what `PICKET_VERSION` said when it was built.
pub const VERSION: &str = match option_env!("PICKET_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// Whether this build carries kernel programs.
#[must_use]
pub fn has_programs() -> bool {
    !OBJECT.is_empty()
}

/// SHA-256 of version and object. The version counts too, so that what is in force is what the running
/// version attached, also where two versions have the same programs.
#[must_use]
pub fn hash() -> [u8; 32] {
    static HASH: LazyLock<[u8; 32]> = LazyLock::new(|| {
        Sha256::new().chain_update(VERSION).chain_update(OBJECT).finalize().into()
    });
    *HASH
}
