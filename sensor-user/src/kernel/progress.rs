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

/// Violations that were counted and not said, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsaid(u64);

impl Unsaid {
    fn of(count: u64, seq: u64) -> Unsaid {
        Unsaid(count << SEQ_BITS | seq & SEQ_MASK)
    }

    fn parts(self) -> (u64, u64) {
        (self.0 >> SEQ_BITS, self.0 & SEQ_MASK)
    }

    /// How many.
    #[must_use]
    pub fn count(self) -> u64 {
        self.parts().0
    }

    /// Whether the violation with this number was the last to be counted, said since or not. An agent's
    /// first, 0, never is: there is none before it that it could repeat.
    #[must_use]
    pub fn was_last(self, seq: u64) -> bool {
        seq != 0 && self.parts().1 == seq & SEQ_MASK
    }
}

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
            let (count, _) = Unsaid(unsaid.load(Acquire)).parts();
            unsaid.store(Unsaid::of(count + 1, seq).0, Release);
        }
    }

    /// So many of those were said.
    pub fn said(&self, slot: u32, count: u64) {
        if let Some([_, unsaid]) = self.slot(slot) {
            let (now, seq) = Unsaid(unsaid.load(Acquire)).parts();
            unsaid.store(Unsaid::of(now.saturating_sub(count), seq).0, Release);
        }
    }

    /// What was counted and not said.
    pub fn unsaid(&self, slot: u32) -> Unsaid {
        Unsaid(self.slot(slot).map_or(0, |[_, unsaid]| unsaid.load(Acquire)))
    }

    /// A new agent in the slot.
    pub fn reset(&self, slot: u32) {
        for word in self.slot(slot).into_iter().flatten() {
            word.store(0, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_was_counted_is_known_after_it_was_said() {
        let nothing = Unsaid(0);
        assert_eq!(nothing.count(), 0);
        assert!(!nothing.was_last(0) && !nothing.was_last(1));
        let some = Unsaid::of(3, 17);
        assert_eq!(some.count(), 3);
        assert!(some.was_last(17) && !some.was_last(16) && !some.was_last(0));
        let said = Unsaid::of(0, 17);
        assert!(said.was_last(17) && said.count() == 0);
        // Far beyond what fits, the low bits tell.
        let late = Unsaid::of(1, (1 << SEQ_BITS) + 5);
        assert!(late.was_last((1 << SEQ_BITS) + 5) && late.count() == 1);
    }
}
