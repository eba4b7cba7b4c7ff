//! Asking whether the copy may go on.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// What one chunk cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkCost {
    /// Rows written.
    pub rows: u64,
    /// Bytes of their statements.
    pub bytes: u64,
    /// From the first look at the range to the COMMIT.
    pub took: Duration,
}

/// The answer of [`Pace::admit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// One more chunk.
    Go,
    /// No more: paused for good, cancelled, handed over.
    Stop,
}

/// Asked before each chunk of copying and of comparing, never for applying changes. While it waits the engine
/// holds no lock, no transaction and no snapshot for it.
pub trait Pace: Send + Sync {
    /// Waits until a chunk may be worked on.
    ///
    /// Cancel safety: must be safe.
    fn admit(&self) -> Pin<Box<dyn Future<Output = Permission> + Send + '_>>;

    /// How many chunks may be worked on at once now; read before each chunk, at least 1 is used.
    fn workers(&self) -> usize;

    /// How long a chunk is meant to take now. Its COMMIT is written to the binary log in one go, and clients'
    /// commits wait for that.
    fn chunk_time(&self) -> Duration;

    /// A chunk is done.
    fn done(&self, cost: ChunkCost);

    /// Something that disturbs others goes on for longer than a chunk; said again and again.
    fn goes_on(&self) {}
}
