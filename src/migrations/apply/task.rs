//! The task that follows the feed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::batch::{Bounds, Unwritten, apply_batch};
use super::gathering::Gathering;
use super::opening::Opening;
use crate::backend::direct::{Direct, DirectError};
use crate::migrations::changes::{Change, FeedError, Position, RowChange, Subscription, TableChange};
use crate::migrations::copy::{Batch, Op};
use crate::migrations::engine::{Counters, EngineError, Image, Settling, Shared, meaning};

/// Bytes of a batch that is not waited with for more.
const FULL_BATCH_BYTES: usize = 4 << 20;
/// Changes of a batch that is not waited with for more.
const FULL_BATCH_KEYS: usize = 5_000;
/// Bytes of changes that are held back at most.
const HELD_BYTES_MAX: usize = 512 << 20;
/// Transactions that may fail in a row by deadlocks, lock waits or lost connections.
const ATTEMPTS: u32 = 20;
/// Pause before the second attempt; each further one is longer by it.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a position is recorded when no change of the table comes.
const RECORD_EVERY: Duration = Duration::from_secs(5);

/// Follows the feed and applies what it brings.
pub(crate) struct Applier {
    shared: Arc<Shared>,
    feed: Subscription,
    opening: Opening,
    direct: Direct,
    attempts: u32,
    recorded_at: Instant,
    /// Of what is pending and may be applied.
    gathering: Gathering,
}

/// What the state allows now.
enum Turn {
    /// Apply this.
    Apply(Batch<Image, Position>),
    /// Every chunk has ended: write the marker that ends the settling.
    Mark,
    /// Read more.
    Read,
    /// Wait for somebody to change the state.
    Wait,
    /// End.
    Stop,
}

impl Applier {
    pub(crate) fn new(shared: Arc<Shared>, (feed, opening): (Subscription, Opening), direct: Direct) -> Self {
        let (recorded_at, gathering) = (Instant::now(), Gathering::default());
        Self { shared, feed, opening, direct, attempts: 0, recorded_at, gathering }
    }

    /// Until it is told to stop, or fails; why is written into the state.
    pub(crate) async fn run(mut self) {
        if let Err(failure) = self.follow().await {
            self.shared.update_quietly(|state| state.failure = Some(failure));
        }
        self.direct.close().await;
    }

    async fn follow(&mut self) -> Result<(), EngineError> {
        let mut has_more = true;
        loop {
            match self.turn(has_more) {
                Turn::Apply(batch) => self.apply(batch).await?,
                Turn::Mark => {
                    let marker = self.shared.mark().await?;
                    self.shared.update_quietly(|state| state.settling = Settling::Marker(marker));
                }
                Turn::Read => has_more = self.read(has_more).await?,
                Turn::Wait => self.shared.wake.notified().await,
                Turn::Stop => return Ok(()),
            }
        }
    }

    /// Decides. `has_more`: the feed had something at the last look.
    fn turn(&mut self, has_more: bool) -> Turn {
        let mut gathering = std::mem::take(&mut self.gathering);
        let mut state = self.shared.lock();
        if state.stopping {
            return Turn::Stop;
        }
        let (pending, deferred) = state.book.bytes();
        let is_full = pending + deferred > HELD_BYTES_MAX;
        if state.parked {
            return if is_full { Turn::Wait } else { Turn::Read };
        }
        match state.settling {
            Settling::No => {}
            Settling::Chunks if state.book.chunks() == 0 => return Turn::Mark,
            Settling::Marker(marker) if state.book.marker() >= marker => {
                return Turn::Apply(state.book.take());
            }
            Settling::Chunks | Settling::Marker(_) => return Turn::Read,
        }
        if state.book.has_pending() {
            let is_worth = pending >= FULL_BATCH_BYTES || state.book.pending() >= FULL_BATCH_KEYS;
            if is_worth || gathering.is_over(Instant::now(), has_more) {
                return Turn::Apply(state.book.take());
            }
            self.gathering = gathering;
        }
        let is_due = self.recorded_at.elapsed() >= RECORD_EVERY && !state.book.has_pending();
        if is_due && *state.book.position() != state.recorded {
            return Turn::Apply(state.book.take());
        }
        if is_full { Turn::Wait } else { Turn::Read }
    }

    /// Takes the next change; waits for it only if nothing is to be applied. False when there is none now.
    async fn read(&mut self, has_more: bool) -> Result<bool, EngineError> {
        if has_more {
            // A look without waiting: what has come is put into one batch.
            let looked = tokio::select! {
                biased;
                change = self.feed.next() => Some(change),
                () = std::future::ready(()) => None,
            };
            return match looked {
                Some(change) => self.note(change.map_err(feed_error)?),
                None => {
                    self.note_current();
                    Ok(false)
                }
            };
        }
        let due = self.gathering.left(Instant::now()).unwrap_or(RECORD_EVERY);
        tokio::select! {
            change = self.feed.next() => self.note(change.map_err(feed_error)?),
            () = self.shared.wake.notified() => Ok(false),
            () = sleep(due.min(RECORD_EVERY)) => Ok(false),
        }
    }

    fn note_current(&self) {
        let mut state = self.shared.lock();
        if !state.book.has_pending() {
            state.current = Instant::now();
        }
    }

    fn note(&mut self, change: Change) -> Result<bool, EngineError> {
        match change {
            Change::Rows { position, rows, .. } => {
                self.opening.pass();
                let mut ops = Vec::with_capacity(rows.len() * 2);
                for row in &rows {
                    self.ops_of(row, &mut ops)?;
                }
                let held = self.shared.update_quietly(|state| {
                    for (key, op) in ops {
                        state.book.note(key, op);
                    }
                    state.book.complete(position);
                    let (pending, deferred) = state.book.bytes();
                    (state.settling != Settling::No).then_some(pending + deferred)
                });
                if held.is_some_and(|bytes| bytes > HELD_BYTES_MAX) {
                    return Err(EngineError::TooMuchHeld { bytes_max: HELD_BYTES_MAX });
                }
            }
            Change::Marker(number) => {
                // Whoever wrote it waits for what came before.
                self.gathering.hurry(Instant::now());
                self.shared.update_quietly(|state| state.book.note_marker(number));
            }
            Change::Advanced { position } => {
                self.shared.update_quietly(|state| state.book.complete(position))
            }
            Change::TableChanged { what: TableChange::Renamed } if self.opening.takes_rename() => {}
            Change::TableChanged { what } => {
                return Err(EngineError::TableChanged(format!("{what:?}").to_lowercase()));
            }
        }
        Ok(true)
    }

    /// What becomes of the keys of a changed row: the old one is gone, unless the new one is the same.
    fn ops_of(
        &self,
        row: &RowChange,
        ops: &mut Vec<(crate::migrations::plan::Key, Op<Image>)>,
    ) -> Result<(), EngineError> {
        let plan = &self.shared.plan;
        let unreadable =
            |error: crate::migrations::changes::values::ValueError| EngineError::Feed(error.to_string());
        let after = match &row.after {
            Some(after) => {
                Some((plan.key_of(after).map_err(unreadable)?, plan.image(after).map_err(unreadable)?))
            }
            None => None,
        };
        if let Some(before) = &row.before {
            let key = plan.key_of(before).map_err(unreadable)?;
            if after.as_ref().is_none_or(|(new, _)| *new != key) {
                ops.push((key, Op::Delete));
            }
        }
        if let Some((key, image)) = after {
            ops.push((key, Op::Put(image.into())));
        }
        Ok(())
    }

    async fn apply(&mut self, batch: Batch<Image, Position>) -> Result<(), EngineError> {
        let records = &self.shared.records;
        let (check, record) = (records.check(), records.set_position(&batch.position));
        let bounds = Bounds { check: &check, record: &record };
        let done = apply_batch(&mut self.direct, &self.shared.plan, &batch, Some(bounds)).await;
        match done {
            Ok(()) => {
                self.note_applied(batch);
                Ok(())
            }
            // The transaction goes with its connection.
            Err(Unwritten::Superseded) => Err(EngineError::Superseded),
            Err(Unwritten::Server(error)) => self.put_back(batch, error).await,
        }
    }

    fn note_applied(&mut self, batch: Batch<Image, Position>) {
        self.attempts = 0;
        self.recorded_at = Instant::now();
        Counters::add(&self.shared.counters.changes_applied, batch.ops.len() as u64);
        self.shared.update_quietly(|state| {
            state.book.applied();
            state.recorded = batch.position;
            state.settling = Settling::No;
            if !state.book.has_pending() {
                state.current = Instant::now();
            }
        });
    }

    /// The batch is not written: it is pending again, if it may be tried again.
    async fn put_back(
        &mut self,
        batch: Batch<Image, Position>,
        error: DirectError,
    ) -> Result<(), EngineError> {
        let attempted = batch.position.clone();
        let was_settling = self.shared.update_quietly(|state| {
            state.book.put_back(batch);
            state.settling
        });
        self.recover(&error, &attempted).await?;
        if error.errno() == Some(1062) {
            if was_settling != Settling::No {
                return Err(meaning("applying changes", error));
            }
            Counters::add(&self.shared.counters.settled, 1);
            self.shared.update_quietly(|state| state.settling = Settling::Chunks);
            return Ok(());
        }
        let is_passing = error.is_lost() || matches!(error.errno(), Some(1205 | 1213));
        self.attempts += 1;
        if !is_passing || self.attempts > ATTEMPTS {
            return Err(meaning("applying changes", error));
        }
        sleep(ATTEMPT_PAUSE * self.attempts).await;
        Ok(())
    }

    /// Makes the connection ready for the next transaction. A new one must find the position that was
    /// recorded last, or the one that was being recorded: a server that does not is another one, or has lost
    /// something.
    async fn recover(&mut self, error: &DirectError, attempted: &Position) -> Result<(), EngineError> {
        if !error.is_lost() {
            return match self.direct.execute("ROLLBACK").await {
                Ok(_) => Ok(()),
                Err(again) => Box::pin(self.recover(&again, attempted)).await,
            };
        }
        let mut tries = 0;
        let mut direct = loop {
            match self.shared.session().await {
                Ok(direct) => break direct,
                Err(open) if tries >= ATTEMPTS || !open.is_passing() => return Err(open),
                Err(_) => {
                    tries += 1;
                    sleep(ATTEMPT_PAUSE * tries).await;
                }
            }
        };
        let columns = self.shared.plan.key.columns.len();
        let recorded = self.shared.records.read(&mut direct, columns).await?.position;
        let known = self.shared.lock().recorded.clone();
        if recorded.as_ref().is_some_and(|found| *found != known && found != attempted) {
            return Err(EngineError::LostHistory);
        }
        self.direct = direct;
        Ok(())
    }
}

fn feed_error(error: FeedError) -> EngineError {
    error.into()
}
