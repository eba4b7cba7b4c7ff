//! The task of one migration.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::cut::Filled;
use super::pace::{Paced, held_by, wait_for_orders};
use super::prepare::{Prepared, Way};
use super::shared::Shared;
use super::step::{Side, Step};
use super::trouble::Trouble;
use crate::backend::direct::Direct;
use crate::drain::Ownership;
use crate::ids::MigrationId;
use crate::migrations::cutover::{Standing, Swapped, standing};
use crate::migrations::engine::{self, Endpoint, Engine, EngineError, Pace, Permission};
use crate::migrations::ledger::{FIRST_EPOCH, Fence, Kept, Part, Record, end_holders, tables};
use crate::migrations::plan::Names;
use crate::migrations::throttle::Throttle;
use crate::migrations::view::{Failure, Progress, State};

/// Pauses before something is tried again: each twice the one before.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// What went well for so long begins with the shortest pause again.
const WELL_FOR: Duration = Duration::from_secs(120);
/// A server is asked so often what became of an exchange before that is told as unknown.
const ASKED_MAX: u32 = 4;
/// Clearing away takes no longer; what is left then is found by its name later.
const CLEAR_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at whether schema changes are let through again.
const LANE_LOOK: Duration = Duration::from_secs(1);
/// The table's lock for the start of a comparison is waited for no longer.
const VERIFY_LOCK_WITHIN: Duration = Duration::from_secs(1);
/// Tries of a comparison in a row that did not get their lock, before everything is begun from the record
/// again.
const VERIFY_TRIES: u32 = 8;

/// Carries one migration out, from wherever its record says, to its end; or until this proxy is not to any
/// more.
pub(in crate::migrations) async fn carry_out(shared: Arc<Shared>, id: MigrationId) {
    let runner = Runner { shared, id, epoch: AtomicU64::new(0) };
    runner.run().await;
    runner.shared.forget_live(&runner.id);
}

/// The right to copy on a cluster.
pub(super) type Turn = tokio::sync::OwnedSemaphorePermit;

pub(super) struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) id: MigrationId,
    /// That of the present round; written by [`Runner::take_up`].
    epoch: AtomicU64,
}

impl Runner {
    async fn run(&self) {
        let mut pause = PAUSE_MIN;
        loop {
            let began = Instant::now();
            let trouble = match self.go_on().await {
                Ok(()) => return,
                Err(trouble) => trouble,
            };
            if began.elapsed() > WELL_FOR {
                pause = PAUSE_MIN;
            }
            let why = match trouble {
                Trouble::LetGo => return,
                Trouble::Failed(failure) => return self.end(State::Failed, Some(failure)).await,
                Trouble::Cancelled(by) => {
                    tracing::info!(id = %self.id, %by, "a migration is cancelled");
                    return self.end(State::Cancelled, None).await;
                }
                Trouble::Unknown(why) => {
                    self.note_unknown(&why).await;
                    why
                }
                Trouble::Passing(why) => why,
            };
            tracing::warn!(id = %self.id, why, "a migration is held up; it is tried again");
            self.note(&why).await;
            if self.pause(pause).await.is_err() {
                // Cancelled or let go: the next round sees which.
                pause = PAUSE_MIN;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// From the record to the end.
    async fn go_on(&self) -> Result<(), Trouble> {
        if self.record()?.state.is_over() {
            return Ok(());
        }
        let record = self.take_up().await?;
        let record = if record.may_be_swapped() {
            let swapped = self.was_swapped(&record).await;
            if swapped.map_err(|trouble| given_up(trouble, &record))? {
                return self.settle(&Swapped { took: Duration::ZERO, position: None, rows: None }).await;
            }
            self.back_to_copying().await?
        } else {
            record
        };
        self.check_orders()?;
        self.await_lane(&record).await?;
        // What is paced already is looked at first: only what is large waits for others.
        let turn = if record.request.is_paced { None } else { Some(self.take_turn(&record).await?) };
        match self.prepare(&record).await? {
            Way::Chunk(prepared, conn) => {
                let (_turn, conn) = self.await_without((turn, conn), &record).await?;
                self.exchange_chunk(prepared, conn).await
            }
            Way::Feed(prepared) => {
                let turn = match turn {
                    Some(turn) => turn,
                    None => self.take_turn(&record).await?,
                };
                // Its first looks are over when the first row is copied.
                let throttle = self.shared.throttles.of(&record.request.cluster);
                let engine = self.subscribe(&prepared).await?;
                self.by_feed(&prepared, engine, (throttle, turn)).await
            }
        }
    }

    /// Begins a round: whoever carried the migration out before writes no more about it, and neither does an
    /// earlier round whose last statement may still be on its way.
    async fn take_up(&self) -> Result<Arc<Record>, Trouble> {
        // Not by the watch alone, which is told every now and then: the lease is asked what holds now.
        if self.shared.ledger.lease.ownership() != Ownership::Owner || !*self.shared.owned().borrow() {
            return Err(Trouble::LetGo);
        }
        let record = self.shared.ledger.take_up(&self.id).await?.ok_or(Trouble::LetGo)?;
        self.epoch.store(record.epoch, Ordering::Relaxed);
        Ok(record)
    }

    /// That of the present round.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// The right of the present round.
    pub(super) fn fence(&self) -> Fence {
        Fence::new(self.shared.ledger.clone(), self.id.clone(), self.epoch())
    }

    /// Nothing is made on a cluster on which schema changes are held back, small as it may be.
    async fn await_lane(&self, record: &Record) -> Result<(), Trouble> {
        while self.shared.throttles.is_lane_closed(&record.request.cluster) {
            let why = "schema changes are held back on the cluster".to_owned();
            self.shared.note_throttled(&self.id, Some(why));
            self.pause(LANE_LOOK).await?;
        }
        self.shared.note_throttled(&self.id, None);
        Ok(())
    }

    /// A small table that is postponed is not copied yet: others have its turn, and nothing is held,
    /// meanwhile.
    async fn await_without(
        &self,
        (turn, conn): (Option<Turn>, Box<Direct>),
        record: &Record,
    ) -> Result<(Option<Turn>, Box<Direct>), Trouble> {
        if !record.orders.is_postponed {
            return Ok((turn, conn));
        }
        drop(turn);
        (*conn).close().await;
        self.await_orders(None).await?;
        // It may have grown meanwhile, beyond what is copied under a lock.
        Err(Trouble::Passing("it waited for an operator, and is looked at again".to_owned()))
    }

    /// Copies, compares, exchanges.
    pub(super) async fn by_feed(
        &self,
        prepared: &Prepared,
        mut engine: Engine,
        (throttle, turn): (Arc<Throttle>, Turn),
    ) -> Result<(), Trouble> {
        let paced = Arc::new(Paced::new(self.shared.clone(), self.id.clone(), throttle, turn));
        let pace: Arc<dyn Pace> = paced.clone();
        let moved = self.move_rows(&mut engine, &pace, prepared.replay_from.is_none()).await;
        // What is copied only keeps up, which is no work to be bounded: another one may copy.
        paced.give_turn();
        let done = match moved {
            Ok(()) => self.exchange(Filled::Feed(&mut engine), &prepared.before).await,
            Err(trouble) => Err(trouble),
        };
        let forgets = matches!(done, Ok(_) | Err(Trouble::Failed(_) | Trouble::Cancelled(_)));
        if let Err(error) = engine.stop(forgets).await {
            tracing::warn!(id = %self.id, %error, "progress of an ended migration is left behind");
        }
        self.settle(&done?).await
    }

    async fn move_rows(
        &self,
        engine: &mut Engine,
        pace: &Arc<dyn Pace>,
        copies: bool,
    ) -> Result<(), Trouble> {
        self.begin(Step::Copy).await?;
        if copies {
            engine.copy(pace.clone()).await.map_err(|error| self.why_ended(error))?;
        }
        self.finish(Step::Copy, engine).await;
        self.begin(Step::Index).await?;
        engine.finish_indexes(pace.clone()).await.map_err(|error| self.why_ended(error))?;
        self.finish(Step::Index, engine).await;
        self.begin(Step::Verify).await?;
        let (mut tries, mut compared) = (0, None);
        let verified = loop {
            let came_to = engine.progress().compared;
            // One that comes further is no hopeless one.
            tries = if came_to == compared { tries + 1 } else { 1 };
            compared = came_to;
            match engine.verify(pace.clone(), VERIFY_LOCK_WITHIN).await {
                Ok(verified) => break verified,
                Err(error @ EngineError::Late { .. }) if tries < VERIFY_TRIES => {
                    self.note(&error.to_string()).await;
                    self.pause(PAUSE_MIN * tries).await?;
                }
                Err(error) => return Err(self.why_ended(error)),
            }
        };
        self.update(|record| {
            record.rows = verified.rows;
            record.verify_held = Some(verified.held);
        })
        .await?;
        self.finish(Step::Verify, engine).await;
        Ok(())
    }

    /// Waits until no operator postpones or pauses it. An engine that keeps a copy up to date meanwhile may
    /// end: that is no copy to wait with, and what is to be told is why.
    pub(super) async fn await_orders(&self, engine: Option<&Engine>) -> Result<(), Trouble> {
        let record = self.record()?;
        let goes = |orders: &crate::migrations::ledger::Orders| {
            !orders.is_postponed && held_by(orders, SystemTime::now()).is_none()
        };
        if goes(&record.orders) {
            return self.check_orders();
        }
        self.begin(Step::Await).await?;
        let ended = async {
            match engine {
                Some(engine) => engine.ended().await,
                None => std::future::pending().await,
            }
        };
        let ordered = tokio::select! {
            biased;
            ordered = wait_for_orders(&self.shared, &self.id, goes) => ordered,
            error = ended => return Err(self.why_ended(error)),
        };
        match ordered {
            Some(Permission::Go) => {
                self.shared.fail_points.pass(Side::After, Step::Await);
                self.check_orders()
            }
            Some(Permission::Stop) | None => Err(self.why_stopped()),
        }
    }

    /// Whether the tables were exchanged, asked of the server; behind it no thread is left that could still
    /// do it.
    ///
    /// # Errors
    /// [`Trouble::Unknown`] when the server could not be asked, or what is there makes no sense.
    pub(super) async fn was_swapped(&self, record: &Record) -> Result<bool, Trouble> {
        let mut why = String::new();
        for asked in 0..ASKED_MAX {
            if asked > 0 {
                tokio::time::sleep(PAUSE_MIN * asked).await;
            }
            match self.ask_standing(record).await {
                Ok(Standing::Swapped) => return Ok(true),
                Ok(Standing::NotSwapped) => return Ok(false),
                Ok(Standing::Untouched)
                    if record.state != State::Unknown && !record.step.may_be_swapped() =>
                {
                    return Ok(false);
                }
                Ok(Standing::Untouched) => {
                    why = "neither the shadow table nor the old table is there".to_owned()
                }
                Ok(Standing::Dropped) => {
                    return Err(Trouble::failed("the table was dropped by another statement"));
                }
                Ok(Standing::Odd(what)) => why = what,
                Err(Trouble::Passing(what)) => why = what,
                Err(Trouble::Failed(failure)) => why = failure.message,
                Err(trouble) => return Err(trouble),
            }
        }
        Err(Trouble::Unknown(format!("whether the tables were exchanged is not known: {why}")))
    }

    async fn ask_standing(&self, record: &Record) -> Result<Standing, Trouble> {
        let mut conn = self.session(record).await?;
        self.fence().check().await?;
        if !end_holders(&mut conn, &self.id, &Part::ALL).await? {
            return Err(Trouble::Passing("a thread that exchanges the tables does not end".to_owned()));
        }
        Ok(standing(&mut conn, &self.id, &names(record), (&record.old_home(), &record.old())).await?)
    }

    /// The tables were not exchanged: goes on with the copy that is there. One chunk is copied anew.
    async fn back_to_copying(&self) -> Result<Arc<Record>, Trouble> {
        self.update(|record| {
            record.step = if record.definitions.is_some() { Step::Copy } else { Step::Claim };
            record.state = record.step.state();
            record.failure = None;
            record.message = None;
        })
        .await
    }

    /// Writes down that the table is changed, then clears away.
    pub(super) async fn settle(&self, swapped: &Swapped) -> Result<(), Trouble> {
        self.shared.fail_points.pass(Side::Before, Step::Settle);
        let now = SystemTime::now();
        let kept_for = self.shared.clusters.settings().keep_old_table;
        let record = self
            .shared
            .ledger
            .end_as(&self.id, self.epoch(), |record| {
                record.state = State::Done;
                record.step = Step::Retire;
                record.swapped = Some(now);
                record.ended = Some(now);
                record.swap_took = Some(swapped.took).filter(|took| !took.is_zero());
                record.rows = swapped.rows.unwrap_or(record.rows);
                record.kept = Some(Kept { until: now + kept_for, position: swapped.position.clone() });
                (record.message, record.failure, record.owner) = (None, None, None);
            })
            .await?
            .ok_or(Trouble::LetGo)?;
        self.shared.fail_points.pass(Side::After, Step::Settle);
        let (table, took) = (record.request.table.as_str(), swapped.took);
        tracing::info!(id = %self.id, cluster = %record.request.cluster, table, ?took, "a table is changed");
        if let Some(original) = &record.reverts {
            self.note_reverted(original).await;
        }
        self.write_on_cluster(&record).await;
        Ok(())
    }

    /// Ends it without a change of the table: what it made is dropped.
    async fn end(&self, state: State, failure: Option<Failure>) {
        if let Some(failure) = &failure {
            tracing::warn!(id = %self.id, why = failure.message, "a migration failed");
        }
        // How far it came is told of it later too.
        let live = self.shared.live(&self.id).map(|live| live.progress);
        let ended = self.shared.ledger.end_as(&self.id, self.epoch(), |record| {
            if let Some(progress) = live.filter(|progress| progress.rows_copied > 0) {
                record.progress = Progress { rows_estimated: record.progress.rows_estimated, ..progress };
            }
            record.state = state;
            record.ended = Some(SystemTime::now());
            record.failure.clone_from(&failure);
            (record.message, record.owner) = (None, None);
        });
        let record = match ended.await {
            Ok(Some(record)) => record,
            // It has ended, or another one carries it out.
            Ok(None) => return,
            Err(error) => {
                // It is still open in the store: whoever carries it out next ends it again.
                tracing::error!(id = %self.id, %error, "the end of a migration could not be written down");
                return;
            }
        };
        if tokio::time::timeout(CLEAR_WITHIN, self.clear(&record)).await.is_err() {
            tracing::warn!(id = %self.id, "its shadow table is left for later");
        }
    }

    async fn clear(&self, record: &Record) {
        let cleared = async {
            let mut conn = self.session(record).await?;
            self.fence().hold(&mut conn, Part::Main).await?;
            match &record.reverts {
                Some(original) => self.put_back(&mut conn, record, original).await?,
                None => tables::drop_table(&mut conn, &record.home(), &record.shadow()).await?,
            }
            tables::drop_own_databases(&mut conn, record).await?;
            tables::end(&mut conn, record, SystemTime::now()).await?;
            engine::forget(&mut conn, &record.id).await?;
            conn.close().await;
            Ok::<(), Trouble>(())
        };
        if let Err(trouble) = cleared.await {
            tracing::warn!(id = %self.id, ?trouble, "its shadow table is left for later");
        }
    }

    /// Brings the cluster's copy of the record of a migration that is over up to date; it only informs.
    pub(super) async fn write_on_cluster(&self, record: &Record) {
        // What an attempt before it may have left behind on the cluster is cleared away by itself.
        let has_left_something = record.has_own_databases || record.epoch > FIRST_EPOCH;
        if record.is_light() && !has_left_something {
            return self.shared.tell_later(record);
        }
        let written = async {
            let mut conn = self.session(record).await?;
            tables::drop_own_databases(&mut conn, record).await?;
            tables::end(&mut conn, record, SystemTime::now()).await?;
            engine::forget(&mut conn, &record.id).await?;
            conn.close().await;
            Ok::<(), Trouble>(())
        };
        match tokio::time::timeout(CLEAR_WITHIN, written).await {
            Ok(Ok(())) => {}
            Ok(Err(trouble)) => tracing::debug!(id = %self.id, ?trouble, "the cluster's ledger is behind"),
            Err(_) => tracing::debug!(id = %self.id, "the cluster's ledger is behind"),
        }
    }

    async fn take_turn(&self, record: &Record) -> Result<Turn, Trouble> {
        let turns = self.shared.turns(&record.request.cluster);
        let taken = turns.acquire_owned();
        tokio::select! {
            taken = taken => taken.map_err(|_| Trouble::LetGo),
            _ = wait_for_orders(&self.shared, &self.id, |_| false) => Err(self.why_stopped()),
        }
    }

    /// Waits; ends early, with the trouble, when it is cancelled or let go.
    pub(super) async fn pause(&self, pause: Duration) -> Result<(), Trouble> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            _ = wait_for_orders(&self.shared, &self.id, |_| false) => Err(self.why_stopped()),
        }
    }

    /// Why the engine stopped.
    pub(super) fn why_ended(&self, error: EngineError) -> Trouble {
        match error {
            EngineError::Stopped => self.why_stopped(),
            error => error.into(),
        }
    }

    /// Cancelled, or let go.
    pub(super) fn why_stopped(&self) -> Trouble {
        match self.check_orders() {
            Ok(()) => Trouble::LetGo,
            Err(trouble) => trouble,
        }
    }

    /// Looks whether it was cancelled, or belongs to another proxy now.
    pub(super) fn check_orders(&self) -> Result<(), Trouble> {
        let record = self.record()?;
        match &record.orders.cancelled_by {
            Some(by) => Err(Trouble::Cancelled(by.clone())),
            None if !*self.shared.owned().borrow() => Err(Trouble::LetGo),
            None => Ok(()),
        }
    }

    pub(super) fn record(&self) -> Result<Arc<Record>, Trouble> {
        self.shared.ledger.get(&self.id).ok_or(Trouble::LetGo)
    }

    /// Writes that a step is begun.
    pub(super) async fn begin(&self, step: Step) -> Result<(), Trouble> {
        self.begin_with(step, |_| {}).await.map(drop)
    }

    /// The same, and what else changes with it.
    pub(super) async fn begin_with(
        &self,
        step: Step,
        change: impl Fn(&mut Record),
    ) -> Result<Arc<Record>, Trouble> {
        self.check_orders()?;
        self.shared.fail_points.pass(Side::Before, step);
        self.update(|record| {
            record.step = step;
            record.state = step.state();
            record.owner = Some(self.shared.ledger.proxy.clone());
            change(record);
        })
        .await
    }

    /// A step is done: notes how far the engine is.
    async fn finish(&self, step: Step, engine: &Engine) {
        let progress = engine.progress();
        self.shared.note_progress(&self.id, |known| *known = progress);
        // A record that is behind is brought up to date by the next step.
        let _ = self.update(|record| record.progress = progress).await;
        self.shared.fail_points.pass(Side::After, step);
    }

    pub(super) async fn update(&self, change: impl Fn(&mut Record)) -> Result<Arc<Record>, Trouble> {
        self.shared.ledger.update_as(&self.id, self.epoch(), change).await?.ok_or(Trouble::LetGo)
    }

    /// Tells people what it waits for.
    pub(super) async fn note(&self, why: &str) {
        // The log has it too.
        let _ = self.update(|record| record.message = Some(why.to_owned())).await;
    }

    async fn note_unknown(&self, why: &str) {
        let failure = Failure::new(why);
        let noted = self.update(|record| {
            record.state = State::Unknown;
            record.failure = Some(failure.clone());
        });
        if noted.await.is_err() {
            tracing::error!(id = %self.id, why, "an end that is not known could not be written down");
        }
    }

    pub(super) fn endpoint(&self, record: &Record) -> Result<Endpoint, Trouble> {
        Ok(self.shared.clusters.endpoint(&record.request.cluster)?)
    }

    /// A connection to the primary as of now.
    pub(super) async fn session(&self, record: &Record) -> Result<Direct, Trouble> {
        Ok(engine::open_session(&self.endpoint(record)?).await?)
    }
}

/// An end that is not known stays so until the server tells, or an operator gives up.
fn given_up(trouble: Trouble, record: &Record) -> Trouble {
    match (trouble, &record.orders.cancelled_by) {
        (Trouble::Unknown(why), Some(by)) => Trouble::failed(format!("{why}; given up by {by}")),
        (trouble, _) => trouble,
    }
}

/// The tables of a migration.
pub(super) fn names(record: &Record) -> Names {
    Names {
        database: record.request.database.clone(),
        table: record.request.table.clone(),
        home: record.home(),
        shadow: record.shadow(),
    }
}
