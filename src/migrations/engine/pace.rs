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
    /// From the first look at the range to the COMMIT, without rests and the round trips of its short
    /// statements.
    pub took: Duration,
    /// Rests between its statements.
    pub rested: Duration,
}

/// How a chunk is worked on while others need the server: in short statements, with rests between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// How long a statement is meant to take.
    pub time: Duration,
    /// The part of the time that is for statements; above 0, at most 1.
    pub share: f64,
}

impl Slice {
    /// Longest rest between two statements, as a transaction is open meanwhile. What is left of a longer one
    /// is rested behind the chunk.
    pub const PAUSE_MAX: Duration = Duration::from_millis(20);

    /// How long to rest behind work that took so long.
    pub fn rest(&self, took: Duration) -> Duration {
        took.mul_f64((1.0 / self.share - 1.0).max(0.0))
    }
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

    /// How a chunk's statements are to be cut now; `None`: not at all, nobody else needs the server.
    fn slice(&self) -> Option<Slice> {
        None
    }

    /// A chunk is done.
    fn done(&self, cost: ChunkCost);

    /// Something that disturbs others goes on for longer than a chunk; said again and again.
    fn goes_on(&self) {}
}
