//! How far the events of each agent were passed on, in a map beside the programs' own, so that a
//! daemon that is killed is followed by one that goes on where it was.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use aya_obj::generated::BPF_F_MMAPABLE;
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;
use sensor_ebpf::limits::AGENTS_MAX;

use super::error::KernelError;
use super::sys::{self, Shared};

/// Words for each agent: losses that were said; and, in one word so that they change at once, how many
/// violations were counted and not yet said and the number of the last of them.
const WORDS: usize = 2;
/// Bits of the number.
const SEQ_BITS: u32 = 40;
const SEQ_MASK: u64 = (1 << SEQ_BITS) - 1;

/// The map. One daemon writes it.
#[derive(Debug)]
pub struct Progress(Shared<[AtomicU64; WORDS]>);

impl Progress {
    /// Name of the map and of its pin.
    pub const NAME: &str = "PROGRESS";

    /// Opens what is pinned at `at`, or makes and pins it.
    pub fn open(at: &Path) -> Result<Progress, KernelError> {
        let failed = |what| move |source| KernelError::Call { what, source };
        let map = match sys::open_pin(at) {
            Ok(map) => map,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (size, flags) = (size_of::<[AtomicU64; WORDS]>() as u32, BPF_F_MMAPABLE);
                let map = sys::create_map(BPF_MAP_TYPE_ARRAY, Self::NAME, size, AGENTS_MAX, flags)
                    .map_err(failed("make the map of progress"))?;
                sys::pin(map.as_fd(), at).map_err(failed("pin the map of progress"))?;
                map
            }
            Err(error) => return Err(failed("open the map of progress")(error)),
        };
        let shared = Shared::map(map.as_fd(), AGENTS_MAX as usize)
            .map_err(failed("map the progress into memory"))?;
        Ok(Progress(shared))
    }

    fn slot(&self, slot: u32) -> Option<&[AtomicU64; WORDS]> {
        self.0.values().get(slot as usize)
    }

    /// Losses of the agent in a slot that were said.
    pub fn reported(&self, slot: u32) -> u64 {
        self.slot(slot).map_or(0, |[lost, ..]| lost.load(Acquire))
    }

    /// Losses up to `total` were said.
    pub fn report(&self, slot: u32, total: u64) {
        if let Some([lost, ..]) = self.slot(slot) {
            lost.store(total, Release);
        }
    }

    /// The violation with this number was counted, and is still to be said.
    pub fn count(&self, slot: u32, seq: u64) {
        if let Some([_, unsaid]) = self.slot(slot) {
            let count = (unsaid.load(Acquire) >> SEQ_BITS) + 1;
            unsaid.store(count << SEQ_BITS | seq & SEQ_MASK, Release);
        }
    }

    /// So many of those were said.
    pub fn said(&self, slot: u32, count: u64) {
        if let Some([_, unsaid]) = self.slot(slot) {
            let now = unsaid.load(Acquire);
            let left = (now >> SEQ_BITS).saturating_sub(count);
            unsaid.store(left << SEQ_BITS | now & SEQ_MASK, Release);
        }
    }

    /// How many were counted and not said, and the number of the last of them.
    pub fn unsaid(&self, slot: u32) -> (u64, u64) {
        let unsaid = self.slot(slot).map_or(0, |[_, unsaid]| unsaid.load(Acquire));
        (unsaid >> SEQ_BITS, unsaid & SEQ_MASK)
    }

    /// Whether the number of a violation is that of the last that was counted.
    #[must_use]
    pub fn is_last(counted: u64, seq: u64) -> bool {
        counted == seq & SEQ_MASK
    }

    /// A new agent in the slot.
    pub fn reset(&self, slot: u32) {
        for word in self.slot(slot).into_iter().flatten() {
            word.store(0, Release);
        }
    }
}
