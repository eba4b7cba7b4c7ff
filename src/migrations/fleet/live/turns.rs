//! The task that takes turns: it owns the driver, answers calls, gauges clusters, and shows what there is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::clock::Ticker;
use super::door::FleetError;
use super::door::{DatabaseFilter, DatabaseRow, FleetNotice};
use super::execute::LiveExecutor;
use super::gauge::{Gauged, Gauges};
use super::service::{FleetHook, Inner};
use super::shown::{self, Shown};
use crate::ids::{ClusterName, Generation, MigrationId, UserName};
use crate::migrations::fleet::drive::{Driver, DriverError, SnapshotPlaces};
use crate::migrations::fleet::ledger::{Book, BookError, Moment, Order, Pace, Row};
use crate::migrations::fleet::schedule::{Budget, Command, Event, Limits, Scheduler};
use crate::migrations::ledger::new_id;

/// Between two turns, while something is to be done.
const TURN: Duration = Duration::from_millis(100);
/// The same while nothing is.
const IDLE_TURN: Duration = Duration::from_secs(1);
/// What is shown is made anew no more often than this, unless something happened.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// Idle connections are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// What is answered.
type Reply<T> = oneshot::Sender<Result<T, FleetError>>;

/// Something that a door wants.
pub(super) enum Call {
    /// Take a migration on.
    Submit { order: Box<Order>, rows: Vec<Row>, pace: Option<Pace>, reply: Reply<MigrationId> },
    /// Follow an operator.
    Command { id: MigrationId, command: Command, by: UserName, reply: Reply<()> },
    /// Take one back.
    Revert { id: MigrationId, by: UserName, reply: Reply<MigrationId> },
    /// List databases.
    Databases { id: MigrationId, filter: DatabaseFilter, reply: Reply<Vec<DatabaseRow>> },
}

pub(super) struct Turns {
    inner: Arc<Inner>,
    driver: Driver<LiveExecutor>,
    executor: Arc<LiveExecutor>,
    places: SnapshotPlaces,
    gauges: Gauges,
    clock: Ticker,
    is_resumed: bool,
    /// The config whose budgets are followed.
    followed: Option<Generation>,
    shown: Instant,
    tidied: Instant,
}

/// Takes turns until told to stop.
pub(super) async fn take_turns(inner: Arc<Inner>, mut calls: mpsc::Receiver<Call>) {
    let mut stopping = inner.is_stopping.subscribe();
    let mut turns = Turns::new(inner);
    loop {
        if *stopping.borrow_and_update() {
            return;
        }
        turns.turn().await;
        let pause = turns.pause();
        let call = tokio::select! {
            biased;
            _ = stopping.changed() => continue,
            call = calls.recv() => call,
            () = turns.driver.wait(pause) => continue,
        };
        let Some(call) = call else { return };
        turns.answer(call).await;
    }
}

impl Turns {
    fn new(inner: Arc<Inner>) -> Self {
        let parts = &inner.surroundings;
        let shared = parts.migrations.shared().clone();
        let executor = inner.executor.clone();
        let owner = inner.owner.clone();
        let book = Book::new(parts.store.clone(), &owner);
        let (clusters, snapshots) = (shared.clusters.clone(), parts.snapshots.clone());
        let make = move || {
            let budget = budget_of(&snapshots.load().config.schema_changes.fleet);
            Scheduler::new(&owner, budget, Limits::default())
        };
        let clock = Ticker::new();
        let gauged = Gauged {
            clusters,
            throttles: shared.throttles.clone(),
            signals: parts.signals.clone(),
            executor: executor.clone(),
            clock,
        };
        Self {
            driver: Driver::new(executor.clone(), book, make),
            places: SnapshotPlaces::new(parts.snapshots.clone()),
            gauges: Gauges::new(gauged),
            executor,
            clock,
            is_resumed: false,
            followed: None,
            shown: Instant::now(),
            tidied: Instant::now(),
            inner,
        }
    }

    fn pause(&self) -> Duration {
        let has_work = self
            .driver
            .scheduler()
            .status(self.clock.now())
            .iter()
            .any(|status| !matches!(status.stage, crate::migrations::fleet::schedule::Stage::Still));
        if has_work && self.is_resumed { TURN } else { IDLE_TURN }
    }

    /// Reads the store if need be, then lets the driver go on.
    async fn turn(&mut self) {
        let now = self.clock.now();
        if !self.is_resumed && !self.resume(now).await {
            return;
        }
        self.follow_config();
        let open: BTreeSet<ClusterName> = self
            .driver
            .scheduler()
            .status(now)
            .iter()
            .flat_map(|status| status.clusters.iter().map(|part| part.cluster.clone()))
            .collect();
        self.gauges.follow(&open);
        for (cluster, reading) in self.gauges.take() {
            self.driver.read(cluster, reading);
        }
        match self.driver.turn(&self.places, self.clock.now()).await {
            Ok(turned) => {
                let is_news = !turned.events.is_empty();
                self.show(is_news);
                turned.events.into_iter().for_each(|event| self.tell(event));
            }
            Err(error) => self.held_up(&error),
        }
        if self.tidied.elapsed() >= TIDY_EVERY {
            self.tidied = Instant::now();
            self.executor.close_idle().await;
        }
    }

    async fn resume(&mut self, now: Moment) -> bool {
        match self.driver.resume(now).await {
            Ok(faults) => {
                for fault in faults {
                    tracing::error!(target: "bulkhead::fleet", %fault, "a fleet migration is left alone");
                }
                (self.is_resumed, self.followed) = (true, None);
                self.show(true);
                true
            }
            Err(error) => {
                self.held_up(&error);
                false
            }
        }
    }

    fn held_up(&mut self, error: &DriverError) {
        self.is_resumed = false;
        match error {
            DriverError::Book(BookError::NotOwner) => {
                tracing::debug!(target: "bulkhead::fleet", "another proxy carries fleet migrations out");
            }
            error => tracing::warn!(target: "bulkhead::fleet", %error, "fleet migrations are held up"),
        }
    }

    fn follow_config(&mut self) {
        let snapshot = self.inner.surroundings.snapshots.load();
        if self.followed == Some(snapshot.generation) {
            return;
        }
        self.followed = Some(snapshot.generation);
        let budget = budget_of(&snapshot.config.schema_changes.fleet);
        for (name, cluster) in &snapshot.config.clusters {
            self.driver.set_budget(name, budget);
            self.driver.set_host(name, cluster.primary.host.clone());
        }
    }

    /// Shows what there is; seldom when nothing happened.
    fn show(&mut self, is_news: bool) {
        if !is_news && self.shown.elapsed() < SHOW_EVERY {
            return;
        }
        self.shown = Instant::now();
        let shown = shown::of(&self.driver, self.clock.now());
        let is_changed = **self.inner.shown.load() != shown;
        if is_changed {
            self.inner.shown.store(Arc::new(shown));
            self.inner.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
        }
    }

    fn tell(&self, event: Event) {
        let id = match &event {
            Event::WaveBegan { id, .. } | Event::Stopped { id, .. } | Event::Ended { id } => Some(id),
            Event::Closed { .. } | Event::Opened { .. } => None,
        };
        let shown: Arc<Shown> = self.inner.shown.load_full();
        let row = id.and_then(|id| shown.statuses.get(id)).map(|status| status.row.clone());
        let hook: &dyn FleetHook = &*self.inner.surroundings.hook;
        hook.tell(&FleetNotice { event, row });
    }

    async fn answer(&mut self, call: Call) {
        let now = self.clock.now();
        // Who does not wait for the answer any more needs none.
        match call {
            Call::Submit { order, rows, pace, reply } => {
                let submitted = self.driver.submit(*order, (rows, pace), now).await;
                let submitted = self.heard(submitted);
                // Whoever hears of it looks at what is shown.
                self.show(true);
                let _ = reply.send(submitted);
            }
            Call::Command { id, command, by, reply } => {
                let done = self.driver.command(&id, &command, &by, now).await;
                let done = self.heard(done);
                self.show(true);
                let _ = reply.send(done);
            }
            Call::Revert { id, by, reply } => {
                let new = new_id(std::time::SystemTime::now());
                let done = self.driver.revert(&id, new, &by, now).await;
                let done = self.heard(done);
                self.show(true);
                let _ = reply.send(done);
            }
            Call::Databases { id, filter, reply } => {
                let rows = self.driver.rows(&id).await;
                let rows = self.heard(rows).map(|rows| shown::databases(&rows, &filter));
                let _ = reply.send(rows);
            }
        }
    }

    /// After an error of the store everything is read again.
    fn heard<T>(&mut self, done: Result<T, DriverError>) -> Result<T, FleetError> {
        done.map_err(|error| {
            if matches!(error, DriverError::Book(_) | DriverError::NotResumed) {
                self.is_resumed = false;
            }
            match error {
                DriverError::Book(error) => error.into(),
                DriverError::Submit(refusal) => refusal.into(),
                DriverError::Command(refusal) => refusal.into(),
                DriverError::NotResumed => FleetError::NotRunning,
            }
        })
    }
}

/// What a cluster bears, by the config.
pub(super) fn budget_of(fleet: &crate::config::FleetChanges) -> Budget {
    Budget { at_once: fleet.at_once, statements_per_second: f64::from(fleet.statements_per_second) }
}

/// Says whether a sender tells to stop.
pub(super) fn is_stopping(sender: &watch::Sender<bool>) -> bool {
    *sender.borrow()
}
