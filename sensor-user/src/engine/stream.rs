//! The event ring as an asynchronous stream.

use std::io;

use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use crate::event::Event;
use crate::event::decode::{DecodeError, decode};
use crate::kernel::load::KernelError;

/// The reading end of the ring.
pub struct Stream {
    ring: AsyncFd<RingBuf<MapData>>,
}

impl Stream {
    /// Takes over the ring. Must be called within a tokio runtime.
    pub(crate) fn new(ring: RingBuf<MapData>) -> Result<Stream, KernelError> {
        // SAFETY: the ring owns its descriptor, and keeps the same one until it is dropped.
        let ring = unsafe { AsyncFd::register(ring) }.map_err(|error| KernelError::Call {
            what: "watch the event ring",
            source: error.into_parts().1,
        })?;
        Ok(Stream { ring })
    }

    /// Waits until there may be events.
    pub async fn ready(&mut self) -> io::Result<()> {
        self.ring.readable_mut().await?.clear_ready();
        Ok(())
    }

    /// Hands the next event that is there to `with`, and gives its room in the ring back only then:
    /// whoever is killed meanwhile leaves the event to the next reader.
    pub fn take<R>(&mut self, with: impl FnOnce(Result<Event, DecodeError>) -> R) -> Option<R> {
        self.ring.get_mut().next().map(|record| with(decode(&record)))
    }

    /// The next event that is there. To be called until it answers `None`, after each
    /// [`ready`](Self::ready).
    pub fn next_event(&mut self) -> Option<Result<Event, DecodeError>> {
        self.ring.get_mut().next().map(|record| decode(&record))
    }
}

/// Passes the kernel programs' traces on to the process's logger, for as long as the runtime runs.
#[cfg(feature = "kernel-trace")]
pub(crate) fn follow_traces(kernel: &mut crate::kernel::load::Kernel) -> Result<(), KernelError> {
    let _ = env_logger::try_init();
    let traces = kernel.take_traces()?;
    // SAFETY: the logger owns its ring, whose descriptor stays the same until it is dropped.
    let traces = unsafe { AsyncFd::register(traces) }.map_err(|error| KernelError::Call {
        what: "watch the trace ring",
        source: error.into_parts().1,
    });
    let mut traces = traces?;
    tokio::task::spawn(async move {
        while let Ok(mut ready) = traces.readable_mut().await {
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    });
    Ok(())
}
