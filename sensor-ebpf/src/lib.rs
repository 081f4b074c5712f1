//! The contract between Picket's kernel programs and its userspace, and the pure decisions that both
//! sides must take alike: which masks a policy table gives a subject ([`table`]), which verdict
//! follows from them ([`verdict`]), and which names may be traded for which ([`moves`]).
//!
//! Everything here is `no_std`, free of dependencies, and compiled twice: into the BPF programs
//! and into `picket`, so that `explain`, the tests and the kernel cannot disagree. What needs a
//! helper, a map or the standard library must not live here.
#![no_std]

pub mod act;
pub mod capability;
pub mod event;
pub mod hook;
pub mod ioctl;
pub mod layout;
pub mod limits;
pub mod moves;
pub mod rights;
pub mod sockopt;
pub mod subject;
pub mod table;
pub mod tag;
pub mod tagging;
pub mod verdict;
pub mod within;
pub mod xattr;

/// Version of everything in this crate that crosses the kernel boundary. The loader writes it into
/// the object, and refuses pinned objects that carry another one.
pub const ABI_VERSION: u32 = 5;
