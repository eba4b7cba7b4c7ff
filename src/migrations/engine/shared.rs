//! What the parts of one engine share: the book, under a lock that is never held across an await.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::error::EngineError;
use super::pace::{Pace, Permission};
use super::records::Records;
use super::session::open_session;
use super::{Endpoint, Setup};
use crate::backend::direct::Direct;
use crate::migrations::changes::{Feeds, Position};
use crate::migrations::copy::{Book, ChunkId, Op};
use crate::migrations::plan::CopyPlan;

/// A row of the shadow as `(…),`.
pub(crate) type Image = Arc<[u8]>;

/// Settling a conflict of changes with rows that were copied ahead of them: no chunk is at work, and
/// everything up to a marker is applied in one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settling {
    /// Nothing to settle.
    No,
    /// Waits for the chunks at work to end.
    Chunks,
    /// Waits for this marker.
    Marker(u64),
}

/// What the lock guards.
pub(crate) struct State {
    /// Written by the applier, the copiers and the comparison.
    pub(crate) book: Book<Image, Position>,
    /// Written by the applier.
    pub(crate) settling: Settling,
    /// Nothing is applied. Written by the engine's owner.
    pub(crate) parked: bool,
    /// The applier is to end.
    pub(crate) stopping: bool,
    /// Why the applier ended.
    pub(crate) failure: Option<EngineError>,
    /// The position that is recorded.
    pub(crate) recorded: Position,
    /// When everything that had come was applied the last time.
    pub(crate) current: Instant,
}

/// A row is taken to be no shorter.
const ROW_BYTES_MIN: u64 = 64;
/// A row is taken to be as long where the server has no guess.
const ROW_BYTES_UNKNOWN: u64 = 1_024;

/// Counters, written without the lock.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) rows_copied: AtomicU64,
    pub(crate) bytes_copied: AtomicU64,
    pub(crate) rows_estimated: AtomicU64,
    /// Bytes of a row, as the server guesses.
    pub(crate) row_bytes: AtomicU64,
    pub(crate) changes_applied: AtomicU64,
    pub(crate) rows_compared: AtomicU64,
    pub(crate) settled: AtomicU64,
    pub(crate) alone: AtomicU64,
    /// Longest that a comparison made writers wait, us.
    longest_hold_us: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Bytes of a row, as the server guesses.
    pub(crate) fn row_bytes(&self) -> u64 {
        match Self::get(&self.row_bytes) {
            0 => ROW_BYTES_UNKNOWN,
            bytes => bytes.max(ROW_BYTES_MIN),
        }
    }

    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Writers had to wait so long for a comparison.
    pub(crate) fn note_hold(&self, held: Duration) {
        let us = u64::try_from(held.as_micros()).unwrap_or(u64::MAX);
        self.longest_hold_us.fetch_max(us, Ordering::Relaxed);
    }

    /// The longest of them.
    pub(crate) fn longest_hold(&self) -> Duration {
        Duration::from_micros(Self::get(&self.longest_hold_us))
    }
}

/// What the parts of one engine share.
pub(crate) struct Shared {
    pub(crate) plan: Arc<CopyPlan>,
    pub(crate) endpoint: Endpoint,
    pub(crate) records: Records,
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) counters: Counters,
    state: Mutex<State>,
    /// Counts changes of the state.
    changed: watch::Sender<u64>,
    /// Wakes the applier.
    pub(crate) wake: Notify,
}

impl Shared {
    pub(crate) fn new(setup: &Setup, feeds: Arc<Feeds>, position: Position) -> Self {
        Self {
            plan: setup.plan.clone(),
            endpoint: setup.endpoint.clone(),
            records: Records::new(&setup.id, setup.epoch),
            feeds,
            counters: Counters::default(),
            state: Mutex::new(State {
                book: Book::new(position.clone(), weigh),
                settling: Settling::No,
                parked: false,
                stopping: false,
                failure: None,
                recorded: position,
                current: Instant::now(),
            }),
            changed: watch::Sender::new(0),
            wake: Notify::new(),
        }
    }

    /// The state. A panic elsewhere while it was locked would have left a book that says less than was done,
    /// which is what a crash leaves.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes whoever waits for it.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|count| *count += 1);
        self.wake.notify_one();
        result
    }

    /// The same by the applier, which needs no waking.
    pub(crate) fn update_quietly<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|count| *count += 1);
        result
    }

    /// Waits until `ready` gives something.
    ///
    /// # Errors
    /// What ended the applier.
    pub(crate) async fn wait<T>(
        &self,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, EngineError> {
        let mut changes = self.changed.subscribe();
        loop {
            {
                let mut state = self.lock();
                if let Some(failure) = &state.failure {
                    return Err(failure.again());
                }
                if let Some(result) = ready(&mut state) {
                    return Ok(result);
                }
            }
            if changes.changed().await.is_err() {
                return Err(EngineError::Stopped);
            }
        }
    }

    /// Waits until the applier ends by itself, however long that may be; gives why.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn ended(&self) -> EngineError {
        match self.wait(|_| None::<std::convert::Infallible>).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    /// Waits for the pace. A copy whose changes are applied no more is not waited with, however long it is
    /// held.
    ///
    /// Cancel safety: safe.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] when the pace says so; what ended the applier.
    pub(crate) async fn admit(&self, pace: &dyn Pace) -> Result<(), EngineError> {
        let permission = tokio::select! {
            biased;
            error = self.ended() => return Err(error),
            permission = pace.admit() => permission,
        };
        if permission == Permission::Stop { Err(EngineError::Stopped) } else { Ok(()) }
    }

    /// As [`Self::wait`], for so long at most.
    pub(crate) async fn wait_within<T>(
        &self,
        what: &'static str,
        within: Duration,
        ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, EngineError> {
        match tokio::time::timeout(within, self.wait(ready)).await {
            Ok(result) => result,
            Err(_) => Err(EngineError::Late { what, within }),
        }
    }

    /// Writes a marker.
    ///
    /// # Errors
    /// [`EngineError::LostHistory`] when another server is the primary by now; what is said of the feed.
    pub(crate) async fn mark(&self) -> Result<u64, EngineError> {
        let (number, server) = self.feeds.mark_on(&self.endpoint.cluster).await?;
        // What this engine writes goes to a server that is the primary no more.
        if server == self.endpoint.server { Ok(number) } else { Err(EngineError::LostHistory) }
    }

    /// A connection in the engine's state.
    pub(crate) async fn session(&self) -> Result<Direct, EngineError> {
        open_session(&self.endpoint).await
    }
}

/// A chunk that is registered; dropped without [`Self::close`] it is given up.
pub(crate) struct OpenChunk<'a> {
    shared: &'a Shared,
    pub(crate) id: ChunkId,
    is_open: bool,
}

impl<'a> OpenChunk<'a> {
    /// Registers a chunk as soon as nothing is being settled.
    pub(crate) async fn open(shared: &'a Shared) -> Result<Self, EngineError> {
        let id = shared.wait(|state| (state.settling == Settling::No).then(|| state.book.open())).await?;
        Ok(Self { shared, id, is_open: true })
    }

    /// The chunk has ended: committed, or rolled back.
    pub(crate) fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            let id = self.id;
            self.shared.update(|state| state.book.close(id));
        }
    }
}

impl Drop for OpenChunk<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// What an operation weighs in memory.
fn weigh(op: &Op<Image>) -> usize {
    match op {
        Op::Put(image) => image.len() + 64,
        Op::Delete => 64,
    }
}
