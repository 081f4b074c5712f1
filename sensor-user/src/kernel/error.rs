//! What can go wrong between userspace and the kernel programs.

use std::io;
use std::path::PathBuf;

use aya::EbpfError;
use aya::maps::MapError;
use aya::pin::PinError;
use aya::programs::ProgramError;
use sensor_ebpf::tag::Tag;

use super::layout::LayoutError;

/// Why the kernel side could not be brought up, or answered with an error later.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The build has no kernel programs.
    #[error(
        "this picket was built without its kernel programs; build it with `cargo xtask setup` done, see the README"
    )]
    NoPrograms,
    /// The kernel's layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The object or one of its maps.
    #[error("cannot load the kernel programs: {0}")]
    Object(#[from] EbpfError),
    /// The kernel's type information, as the loader reads it.
    #[error("cannot read the kernel's type information: {0}")]
    Btf(#[from] aya::BtfError),
    /// One program.
    #[error("cannot {step} the program for {hook}: {source}")]
    Program {
        /// `load` or `attach`.
        step: &'static str,
        /// The hook.
        hook: &'static str,
        /// With the verifier's log.
        source: Box<ProgramError>,
    },
    /// A map or program that the object should have.
    #[error("the kernel programs have no {0}; this picket was built from mismatched parts")]
    Missing(&'static str),
    /// A map of another kind or size than expected.
    #[error("map {map}: {source}")]
    Map {
        /// The map.
        map: &'static str,
        /// Why.
        source: Box<MapError>,
    },
    /// A system call on a map.
    #[error("cannot {what}: {source}")]
    Call {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A tag that no agent has.
    #[error("there is no agent {}", .0.agent)]
    NoAgent(Tag),
    /// A link that could not be pinned.
    #[error("cannot pin a program at {at}: {source}")]
    Pin {
        /// Where.
        at: PathBuf,
        /// Why.
        source: PinError,
    },
    /// A slot number beyond the map.
    #[error("no room for another {0}")]
    Full(&'static str),
    /// What is pinned was made by a build that this one cannot work with.
    #[error(
        "the kernel side that is in force, pinned at {at}, is of picket {version} ({what}), which this \
         one cannot take over; it goes on enforcing. Run that picket, or end its agents and take it \
         off with `picket uninstall`"
    )]
    Foreign {
        /// The directory of pins.
        at: PathBuf,
        /// The version that made them.
        version: String,
        /// What does not fit.
        what: String,
    },
    /// Pins that no picket made, or that are damaged.
    #[error("cannot take over what is pinned at {at}: {what}; nothing was changed")]
    Strange {
        /// The directory of pins.
        at: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A directory or file of pins.
    #[error("cannot {what} {at}: {source}")]
    Pins {
        /// What was tried.
        what: &'static str,
        /// Where.
        at: PathBuf,
        /// Why not.
        source: io::Error,
    },
}
