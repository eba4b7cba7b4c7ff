//! The engine itself: what its owner may ask, in which order.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::error::EngineError;
use super::laps::Laps;
use super::late::{self, Beside, Built};
use super::pace::Pace;
use super::records::{Records, Single};
use super::session::{open_session, rows, run};
use super::shared::{Counters, Image, Shared};
use super::{Endpoint, meaning, shadow};
use crate::backend::direct::Direct;
use crate::ids::{MigrationId, ServerId};
use crate::migrations::apply::{Applier, Opening, apply_batch};
use crate::migrations::changes::{Feeds, Position, TableName};
use crate::migrations::copy::{Batch, Ranges, copy_rows};
use crate::migrations::plan::{CopyPlan, LateBuild};
use crate::migrations::verify::{Pass, verify};
use crate::migrations::view::Progress;

/// What goes on is told so often.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Time for the first marker to come through, and for the applier to finish a batch.
const MARKER_WITHIN: Duration = Duration::from_secs(60);

/// What an engine works on.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The migration, by which progress is recorded in `zz_bulkhead.progress`.
    pub id: MigrationId,
    /// As that of the shadow's [`super::ShadowRequest`].
    pub epoch: u64,
    /// The primary.
    pub endpoint: Endpoint,
    /// What is copied, and how.
    pub plan: Arc<CopyPlan>,
    /// Goes on from the recorded progress instead of from the beginning.
    pub resume: bool,
    /// The shadow has every row as of this position, and only what was changed since is applied: it is the
    /// old table of an exchange that is taken back. [`Engine::copy`] is not to be called then.
    pub replay_from: Option<Position>,
}

/// What a comparison came to: nothing differed in the last pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Rows that both tables had.
    pub rows: u64,
    /// Passes made; 1 when nothing had to be repaired.
    pub passes: u32,
    /// Ranges repaired.
    pub repaired: usize,
    /// Longest that writers had to wait for the beginning of a pass, of this try or an earlier one.
    pub held: Duration,
}

/// A batch that is being applied under the lock. Given up in the middle (time is over, the connection is
/// lost), it is pending again: each of its changes carries the whole row, so applying it twice does no harm,
/// and not applying it would lose it, for the next batch records a position behind it.
struct Taken<'a> {
    shared: &'a Shared,
    batch: Option<Batch<Image, Position>>,
}

impl Taken<'_> {
    /// The batch is committed. Gives the number of its changes.
    fn settle(mut self) -> u64 {
        let batch = self.batch.take();
        self.shared.update(|state| state.book.applied());
        batch.map_or(0, |batch| batch.ops.len() as u64)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.shared.update(|state| state.book.put_back(batch));
        }
    }
}

/// Moves the rows of one table; see the module.
pub struct Engine {
    shared: Arc<Shared>,
    applier: JoinHandle<()>,
    copying: std::sync::Mutex<Option<std::time::Instant>>,
    /// Where a comparison was left that did not get its lock.
    left: Option<Pass>,
}

impl Engine {
    /// Subscribes to changes and starts to apply them. On return a marker has come through: whatever is read
    /// from now on is newer than the subscription (invariant I1).
    ///
    /// # Errors
    /// [`EngineError::Feed`] (also when a resume finds its position purged), [`EngineError::Open`],
    /// [`EngineError::Server`]; [`EngineError::TableChanged`] when there is nothing to resume.
    pub async fn start(setup: Setup, feeds: Arc<Feeds>) -> Result<Self, EngineError> {
        let mut direct = open_session(&setup.endpoint).await?;
        Records::prepare(&mut direct).await?;
        let records = Records::new(&setup.id, setup.epoch);
        let recorded = records.read(&mut direct, setup.plan.key.columns.len()).await?;
        let replays = setup.replay_from.is_some();
        let from = match (setup.resume, recorded.position) {
            (true, Some(position)) => Some(position),
            (true, None) if recorded.max.is_some() => {
                return Err(EngineError::TableChanged("there is no recorded position".to_owned()));
            }
            _ => setup.replay_from.clone(),
        };
        let names = &setup.plan.names;
        let table = TableName::new(names.database.as_str(), names.table.as_str());
        let kinds = setup.plan.kinds.clone();
        let feed = feeds.subscribe(&setup.endpoint.cluster, table, kinds, from.clone()).await;
        let feed = feed.map_err(EngineError::from)?;
        let position = from.clone().unwrap_or_else(|| feed.start().clone());
        if from.is_none() || !setup.resume {
            records.guarded(&mut direct, records.set_position(&position), "recording the beginning").await?;
        }
        let shared = Arc::new(Shared::new(&setup, feeds, position));
        Counters::add(&shared.counters.rows_copied, recorded.rows_copied);
        let opening = if replays { Opening::MayRename } else { Opening::Over };
        let applier = tokio::spawn(Applier::new(shared.clone(), (feed, opening), direct).run());
        let engine = Self { shared, applier, copying: std::sync::Mutex::new(None), left: None };
        let marker = engine.shared.mark().await?;
        let came = |state: &mut super::shared::State| (state.book.marker() >= marker).then_some(());
        engine.shared.wait_within("waiting for the first marker", MARKER_WITHIN, came).await?;
        Ok(engine)
    }

    /// Copies every row that is not recorded as copied. Lost connections and lock waits are tried again, a
    /// bounded number of times in a row.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] when `pace` says so: call it again to go on. All others are ends.
    ///
    /// **Cancel safety**: safe; chunks that were not committed are copied again.
    pub async fn copy(&mut self, pace: Arc<dyn Pace>) -> Result<(), EngineError> {
        let shared = &self.shared;
        let plan = &shared.plan;
        let mut direct = shared.session().await?;
        self.estimate(&mut direct).await?;
        let recorded = shared.records.read(&mut direct, plan.key.columns.len()).await?;
        let max = match recorded.max {
            Some(max) => max,
            None => {
                let last = rows(&mut direct, plan.select_last(), "looking for the greatest key").await?;
                let Some(row) = last.first() else { return Ok(()) };
                let max = plan.key_of_text(row);
                let max = max.map_err(|error| EngineError::TableChanged(error.to_string()))?;
                let record = shared.records.set(Single::Max, max.as_bytes());
                shared.records.guarded(&mut direct, record, "recording the greatest key").await?;
                max
            }
        };
        direct.close().await;
        *self.copying.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(std::time::Instant::now());
        copy_rows(shared.clone(), Ranges::new(max, recorded.copied), pace).await
    }

    /// How many rows there are and how long they are, as the server guesses.
    async fn estimate(&self, direct: &mut Direct) -> Result<(), EngineError> {
        let names = &self.shared.plan.names;
        let sql = format!(
            "SELECT table_rows, avg_row_length FROM information_schema.tables WHERE table_schema = {} AND \
             table_name = {}",
            crate::sql::quote::string(&names.database),
            crate::sql::quote::string(&names.table)
        );
        run(direct, "SET NAMES utf8mb4", "estimating the table").await?;
        let found = rows(direct, sql, "estimating the table").await?;
        run(direct, "SET NAMES binary", "estimating the table").await?;
        let number = |at| found.first().and_then(|row| row.number::<u64>(at)).unwrap_or(0);
        let counters = &self.shared.counters;
        counters.rows_estimated.store(number(0), std::sync::atomic::Ordering::Relaxed);
        counters.row_bytes.store(number(1), std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// Builds the indexes that were left out; nothing when none were, or they are there already. All at once
    /// while nobody writes; beside clients one by one, each when `pace` says so, as nothing stops such a
    /// statement once it runs. Changes are collected in memory meanwhile.
    ///
    /// # Errors
    /// [`EngineError::Duplicate`] for a unique one that meets duplicates; [`EngineError::Server`];
    /// [`EngineError::Stopped`].
    pub async fn finish_indexes(&mut self, pace: Arc<dyn Pace>) -> Result<(), EngineError> {
        let what = "building indexes";
        let mut direct = self.shared.session().await?;
        let recorded = self.shared.records.read(&mut direct, self.shared.plan.key.columns.len()).await?;
        let Some(recorded) = recorded.late else { return Ok(()) };
        let unreadable = || EngineError::TableChanged("the recorded indexes cannot be read".to_owned());
        let late = LateBuild::read(&recorded).ok_or_else(unreadable)?;
        let counters = &self.shared.counters;
        late::prepare(&mut direct, Counters::get(&counters.rows_estimated) * counters.row_bytes()).await?;
        let mut beside = Beside::Nobody;
        let mut at = 0;
        while at < late.len().max(1) {
            self.shared.admit(&*pace).await?;
            if pace.workers() <= 1 {
                beside = Beside::Clients;
            }
            let one = late.one(at).filter(|_| beside == Beside::Clients);
            let statement = one.clone().unwrap_or_else(|| late.all());
            let built = telling(&*pace, self.build(&mut direct, &statement, beside)).await?;
            match (one, built) {
                (Some(_), _) => at += 1,
                // Some are there, as an earlier process built them one by one: so are the others built.
                (None, Built::Before) if !late.is_empty() => beside = Beside::Clients,
                (None, _) => break,
            }
        }
        let records = &self.shared.records;
        records.guarded(&mut direct, records.unset(Single::Late), what).await?;
        direct.close().await;
        Ok(())
    }

    async fn build(
        &mut self,
        direct: &mut Direct,
        statement: &str,
        beside: Beside,
    ) -> Result<Built, EngineError> {
        // To build them is no harm to whoever has taken over, but to keep the table from it.
        if rows(direct, self.shared.records.check(), "building indexes").await?.is_empty() {
            return Err(EngineError::Superseded);
        }
        // No row may be ahead of the feed, and none may change meanwhile: a server that logs changes for a
        // unique index under construction takes a row that is deleted and inserted again for a duplicate.
        self.drain(MARKER_WITHIN).await?;
        self.park().await?;
        let built = late::build(direct, statement, beside).await;
        self.unpark();
        built
    }

    /// Waits until every change that was committed before the call is applied, and carries AUTO_INCREMENT
    /// over, so that little is left to do under a lock.
    ///
    /// # Errors
    /// [`EngineError::Late`] and what ended the applying.
    pub async fn catch_up(&mut self, within: Duration) -> Result<(), EngineError> {
        self.drain(within).await?;
        let mut direct = self.shared.session().await?;
        if let Err(error) = shadow::carry_counter(&mut direct, &self.shared.plan.names).await {
            // It is done again under the lock.
            tracing::debug!(%error, "the counter is carried over later");
        }
        direct.close().await;
        Ok(())
    }

    /// Until everything in front of a marker that is written now is applied.
    ///
    /// # Errors
    /// [`EngineError::Late`] and what ended the applying.
    pub(crate) async fn drain(&self, within: Duration) -> Result<(), EngineError> {
        let shared = &self.shared;
        let what = "applying changes";
        let late = || EngineError::Late { what, within };
        let marked = tokio::time::timeout(within, shared.mark()).await.map_err(|_| late())??;
        shared.wait_within(what, within, |state| state.book.is_passed(marked).then_some(())).await
    }

    /// Compares every row of both tables, repairs what differs, and compares again until a whole pass finds
    /// nothing (invariant I12). The source is locked for reading for a moment at the start of each pass, and
    /// after each longer pause, bounded by `lock_within`. Snapshots are kept from range to range, but not
    /// while the pace makes it wait.
    ///
    /// # Errors
    /// [`EngineError::Differs`] after three passes; [`EngineError::Late`] when the lock was not had: nothing
    /// is held then, and the next call goes on where this one was; [`EngineError::Stopped`].
    pub async fn verify(
        &mut self,
        pace: Arc<dyn Pace>,
        lock_within: Duration,
    ) -> Result<Verified, EngineError> {
        verify(&self.shared, &mut self.left, &*pace, lock_within).await
    }

    /// Finishes the batch at work and applies no more: changes are collected in memory (bounded) until
    /// [`Self::unpark`] or [`Self::drain_under_lock`]. From its return on the engine holds no lock on the
    /// shadow.
    ///
    /// # Errors
    /// What ended the applying before.
    pub async fn park(&mut self) -> Result<(), EngineError> {
        self.shared.update(|state| state.parked = true);
        let idle = |state: &mut super::shared::State| (!state.book.is_applying()).then_some(());
        self.shared.wait_within("finishing a batch", MARKER_WITHIN, idle).await
    }

    /// Goes on applying.
    pub fn unpark(&mut self) {
        self.shared.update(|state| state.parked = false);
    }

    /// With the source locked against writes: waits for the last of its changes and applies them, on `locked`
    /// when that connection holds `LOCK TABLES … shadow WRITE` too (after [`Self::park`]), else (`None`) in
    /// the background, which must be unparked. On success source and shadow are equal as long as the lock is
    /// held (invariant I8), and AUTO_INCREMENT is carried over.
    ///
    /// # Errors
    /// [`EngineError::Late`] and what ended the applying; then the tables must not be exchanged. When
    /// `locked` was given and its statements failed, part of a batch is applied, and the batch is pending
    /// again.
    pub async fn drain_under_lock(
        &mut self,
        locked: Option<&mut Direct>,
        within: Duration,
    ) -> Result<(), EngineError> {
        let Some(locked) = locked else {
            self.drain(within).await?;
            let mut direct = self.shared.session().await?;
            shadow::carry_counter(&mut direct, &self.shared.plan.names).await?;
            direct.close().await;
            return Ok(());
        };
        let (deadline, mut laps) = (Instant::now() + within, Laps::begin());
        match timeout_at(deadline, self.drain_through(locked, &mut laps)).await {
            Ok(result) => result?,
            Err(_) => return Err(EngineError::Late { what: "applying the last changes", within }),
        }
        laps.end("commit");
        shadow::carry_counter(locked, &self.shared.plan.names).await?;
        laps.end("counter");
        tracing::debug!(table = self.shared.plan.names.source(), %laps, "applied the last changes");
        Ok(())
    }

    async fn drain_through(&self, locked: &mut Direct, laps: &mut Laps) -> Result<(), EngineError> {
        let shared = &self.shared;
        let marker = shared.mark().await?;
        laps.end("marker");
        shared.wait(|state| (state.book.marker() >= marker).then_some(())).await?;
        laps.end("feed");
        let batch = shared.wait(|state| (state.book.chunks() == 0).then(|| state.book.take())).await?;
        let taken = Taken { shared, batch: Some(batch) };
        if taken.batch.as_ref().is_none_or(|batch| batch.ops.is_empty()) {
            taken.settle();
            return Ok(());
        }
        // Under LOCK TABLES a transaction cannot be begun; autocommit off makes the batch one all the same.
        run(locked, "SET SESSION autocommit = 0", "applying the last changes").await?;
        let done = match &taken.batch {
            Some(batch) => apply_batch(locked, &shared.plan, batch, None).await,
            None => Ok(()),
        };
        laps.end("rows");
        let what = "applying the last changes";
        let ended = match &done {
            Ok(()) => locked.execute("COMMIT").await,
            Err(_) => locked.execute("ROLLBACK").await,
        };
        done.map_err(|error| error.into_error(what))?;
        ended.map_err(|error| meaning(what, error))?;
        Counters::add(&shared.counters.changes_applied, taken.settle());
        run(locked, "SET SESSION autocommit = 1", "applying the last changes").await?;
        Ok(())
    }

    /// The server that it works on.
    pub(crate) fn server(&self) -> &ServerId {
        &self.shared.endpoint.server
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let counters = &self.shared.counters;
        let rows_copied = Counters::get(&counters.rows_copied);
        let began = *self.copying.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let seconds = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        let rows_estimated = Counters::get(&counters.rows_estimated).max(rows_copied);
        let compared = Counters::get(&counters.rows_compared);
        let behind = self.shared.lock().current.elapsed();
        Progress {
            rows_copied,
            rows_estimated,
            changes_applied: Counters::get(&counters.changes_applied),
            rows_per_second: if seconds > 0.0 { rows_copied as f64 / seconds } else { 0.0 },
            behind: Some(behind),
            compared: (compared > 0).then(|| (compared as f64 / rows_estimated.max(1) as f64).min(1.0)),
        }
    }

    /// How often changes conflicted with rows copied ahead of them, and chunks with other rows; each time it
    /// was settled, else the engine has failed.
    pub fn conflicts(&self) -> (u64, u64) {
        let counters = &self.shared.counters;
        (Counters::get(&counters.settled), Counters::get(&counters.alone))
    }

    /// Waits until the background ends by itself, however long that may be; gives why.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn ended(&self) -> EngineError {
        self.shared.ended().await
    }

    /// Why the background ended, if it did.
    pub fn failure(&self) -> Option<EngineError> {
        self.shared.lock().failure.as_ref().map(EngineError::again)
    }

    /// Ends the background; what was applied and copied stays recorded. With `forget` the records are removed
    /// too: the migration is over.
    ///
    /// # Errors
    /// [`EngineError::Server`] when the records could not be removed.
    pub async fn stop(mut self, forget: bool) -> Result<(), EngineError> {
        self.shared.update(|state| state.stopping = true);
        // However it ended, it is over; `failure` has told why.
        let _ = (&mut self.applier).await;
        if forget {
            let mut direct = self.shared.session().await?;
            let records = &self.shared.records;
            records.guarded(&mut direct, records.forget(), "removing the records").await?;
            direct.close().await;
        }
        Ok(())
    }
}

/// Waits for something, and says meanwhile that it goes on.
async fn telling<T>(pace: &dyn Pace, doing: impl Future<Output = T>) -> T {
    let mut doing = std::pin::pin!(doing);
    let mut every = tokio::time::interval(TELL_EVERY);
    loop {
        tokio::select! {
            biased;
            done = &mut doing => return done,
            _ = every.tick() => pace.goes_on(),
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({})", self.shared.plan.names.source())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its transaction is rolled back with its connection.
        self.applier.abort();
    }
}
