//! The service: takes migrations on, carries them out, and answers for them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::changes::{FeedStats, Feeds};
use super::command;
use super::error::{CommandError, SubmitError};
use super::ledger::{FIRST_EPOCH, Ledger, NotBegun, Record, new_id};
use super::request::{Command, MigrationRequest};
use super::retire;
use super::run::{Clusters, Parts, Shared, Step, carry_out, held_by};
use super::tell::keep_telling;
use super::throttle::{ClusterSignals, Throttles, keep_learning};
use super::view::{Ended, Failure, MigrationRow, State};
use crate::drain::{Lease, SharedLease, proxy_name};
use crate::health::Meters;
use crate::ids::{ClusterName, Keyspace, MigrationId, ShardName, TableName, UserName, WorkspaceId};
use crate::topology::{SnapshotCell, Store, StoreError};

/// A migration whose task ended before it was over is begun again behind this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A stop waits so many times as long as an exchange may take.
const STOP_TIMES: u32 = 2;
/// Migrations of one cluster that are not over, at most.
const ACTIVE_MAX: usize = 1_000;
/// Longest text that is kept of a change that was made in place, bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// What migrations need of the modules above and beside them.
pub struct Surroundings {
    /// Where clusters are, with which login, and the settings.
    pub snapshots: Arc<SnapshotCell>,
    /// Where migrations are written down.
    pub store: Arc<dyn Store>,
    /// Holds statements back while tables are exchanged.
    pub gate: Arc<dyn TableGate>,
    /// How clusters are.
    pub signals: Arc<dyn ClusterSignals>,
    /// What clients' writes take.
    pub meters: Arc<Meters>,
}

/// Holds the statements of one table at the proxy while it is exchanged.
pub trait TableGate: Send + Sync {
    /// Holds new statements that name the table, for so long at most; those of open transactions pass.
    fn hold(&self, table: &GatedTable, within: Duration);

    /// Lets them go.
    fn release(&self, table: &GatedTable);
}

/// A table as statements name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatedTable {
    /// The cluster.
    pub cluster: ClusterName,
    /// The keyspace.
    pub keyspace: Keyspace,
    /// The shard.
    pub shard: ShardName,
    /// The workspace whose database it is in, where each has its own.
    pub workspace: Option<WorkspaceId>,
    /// The table.
    pub table: TableName,
}

/// Takes migrations on and carries them out. One per proxy; cheap to clone.
#[derive(Clone)]
pub struct Migrations(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// Told by the lease's keeper.
    owned: watch::Sender<bool>,
    is_stopping: watch::Sender<bool>,
}

impl Migrations {
    /// Nothing is carried out before [`Migrations::start`].
    pub fn new(surroundings: Surroundings) -> Self {
        let Surroundings { snapshots, store, gate, signals, meters } = surroundings;
        let clusters = Arc::new(Clusters::new(snapshots));
        let proxy = proxy_name();
        let lease = Lease::new(&proxy, store.is_exclusive(), std::time::Instant::now());
        let ledger = Arc::new(Ledger::new(store, SharedLease::new(lease), proxy));
        let throttles = Arc::new(Throttles::new(clusters.clone(), signals, meters));
        let feeds = Arc::new(Feeds::new(clusters.clone()));
        let owned = watch::Sender::new(false);
        let parts = Parts { clusters, ledger, feeds, throttles, gate, owned: owned.subscribe() };
        let shared = Arc::new(Shared::new(parts));
        Self(Arc::new(Inner { shared, owned, is_stopping: watch::Sender::new(false) }))
    }

    /// Reads what the store has. For looking at migrations and giving them orders while no proxy carries them
    /// out.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn load(&self) -> Result<(), StoreError> {
        self.0.shared.ledger.load().await
    }

    /// Reads what was begun before and goes on with it, and with whatever is submitted later.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(&self, background: &mut JoinSet<()>) -> Result<(), StoreError> {
        let shared = &self.0.shared;
        self.load().await?;
        let stopping = self.0.is_stopping.subscribe();
        background.spawn(shared.ledger.clone().keep(self.0.owned.clone(), stopping));
        background.spawn(retire::keep_retiring(shared.clone()));
        background.spawn(keep_telling(shared.clone()));
        background.spawn(keep_learning(shared.throttles.clone()));
        background.spawn(carry_all_out(shared.clone()));
        Ok(())
    }

    /// Ends what waits, with [`Ended::Elsewhere`], and lets an exchange of tables that is under way come to
    /// its end, which is bounded. Everything else goes on where it is when a proxy starts again.
    pub async fn stop(&self) {
        self.0.is_stopping.send_replace(true);
        let within = self.0.shared.clusters.settings().swap_within * STOP_TIMES;
        if tokio::time::timeout(within, self.0.shared.no_exchange()).await.is_err() {
            tracing::warn!(
                "an exchange of tables is cut off; the server is asked about it at the next start"
            );
        }
    }

    /// Takes a migration on: it is durable in the store when this returns, and goes on whether or not anybody
    /// waits for it.
    ///
    /// # Errors
    /// See [`SubmitError`]; nothing was made then.
    ///
    /// **Cancel safety**: it may have been taken on.
    pub async fn submit(&self, request: MigrationRequest) -> Result<MigrationId, SubmitError> {
        let now = SystemTime::now();
        self.begin(Record::new(new_id(now), request, now)).await
    }

    /// Writes down what a server has carried out in place, so that it is told among the migrations: its step
    /// is `in_place`. The newest few hundred are kept, each with 16 KiB of its text at most.
    ///
    /// # Errors
    /// The store cannot be written; the change is made all the same.
    ///
    /// **Cancel safety**: it may be written down.
    pub async fn note_direct(&self, mut request: MigrationRequest) -> Result<MigrationId, StoreError> {
        let text = &mut request.text;
        let is_end = |at: &usize| text.is_char_boundary(*at);
        let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(is_end).unwrap_or_default();
        text.truncate(end);
        let now = SystemTime::now();
        let id = new_id(now);
        self.0.shared.ledger.note_direct(Record::direct(id.clone(), request, now)).await?;
        Ok(id)
    }

    pub(super) async fn begin(&self, mut record: Record) -> Result<MigrationId, SubmitError> {
        let shared = &self.0.shared;
        if *shared.owned().borrow() {
            // It is carried out here: that is written with it, not behind it.
            record.epoch = FIRST_EPOCH;
            record.owner = Some(shared.ledger.proxy.clone());
        }
        let cluster = &record.request.cluster;
        if !shared.clusters.settings().is_enabled {
            return Err(SubmitError::Off);
        }
        if shared.clusters.cluster(cluster).is_none() {
            return Err(SubmitError::UnknownCluster(cluster.clone()));
        }
        let waiting = shared.ledger.active_on(cluster);
        if waiting >= ACTIVE_MAX {
            return Err(SubmitError::Full { cluster: cluster.clone(), waiting });
        }
        let id = record.id.clone();
        match shared.ledger.begin(record).await {
            Ok(()) => Ok(id),
            Err(NotBegun::Busy(id)) => Err(SubmitError::Busy { id }),
            Err(NotBegun::Store(error)) => Err(error.into()),
        }
    }

    /// Waits for the end of a migration, whichever proxy carries it out. [`Ended::Unknown`] as soon as its
    /// end is not known; [`Ended::Elsewhere`] when this proxy stops, or the store knows no such migration.
    ///
    /// Cancel safety: safe; the migration goes on.
    pub async fn wait(&self, id: &MigrationId) -> Ended {
        let mut changes = self.0.shared.ledger.changes();
        let mut stopping = self.0.is_stopping.subscribe();
        loop {
            changes.mark_unchanged();
            let Some(record) = self.0.shared.ledger.get(id) else { return Ended::Elsewhere };
            if let Some(ended) = end_of(&record) {
                return ended;
            }
            if *stopping.borrow_and_update() {
                return Ended::Elsewhere;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Ended::Elsewhere },
                _ = stopping.changed() => {}
            }
        }
    }

    /// Every migration that the store knows, newest first.
    pub fn rows(&self) -> Vec<MigrationRow> {
        self.0.shared.ledger.all().iter().rev().map(|record| self.row_of(record)).collect()
    }

    /// One of them.
    pub fn row(&self, id: &MigrationId) -> Option<MigrationRow> {
        self.0.shared.ledger.get(id).map(|record| self.row_of(&record))
    }

    /// Counters of the feeds that read binary logs, by cluster, since the start.
    pub fn feeds(&self) -> Vec<(ClusterName, FeedStats)> {
        self.0.shared.feeds.all_stats()
    }

    /// Does what an operator asks; in words, what was done.
    ///
    /// # Errors
    /// See [`CommandError`].
    ///
    /// **Cancel safety**: it may have been done.
    pub async fn command(
        &self,
        id: &MigrationId,
        command: Command,
        by: &UserName,
    ) -> Result<String, CommandError> {
        command::follow(self, id, command, by).await
    }

    /// Takes a finished migration back, by one of its own, whose id is given.
    ///
    /// # Errors
    /// See [`CommandError`].
    ///
    /// **Cancel safety**: it may have been begun.
    pub async fn take_back(&self, id: &MigrationId, by: &UserName) -> Result<MigrationId, CommandError> {
        command::take_back(self, id, by).await
    }

    /// The migration that changes a table and is not over, if there is one.
    pub fn active_on_table(&self, cluster: &ClusterName, database: &str, table: &str) -> Option<MigrationId> {
        self.0.shared.ledger.active_on_table(cluster, database, table)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    fn row_of(&self, record: &Record) -> MigrationRow {
        let live = self.0.shared.live(&record.id);
        let mut progress = record.progress;
        let mut throttled = held_by(&record.orders, SystemTime::now());
        let (state, step) = record.place(live.as_ref().and_then(|live| live.step));
        if let Some(live) = live {
            throttled = live.throttled.or(throttled);
            if live.progress.rows_copied > 0 {
                progress = live.progress;
                progress.rows_estimated = record.progress.rows_estimated;
            }
        }
        let failure = record.failure.as_ref().map(|failure| failure.message.clone());
        MigrationRow {
            id: record.id.clone(),
            cluster: record.request.cluster.clone(),
            database: record.request.database.clone(),
            table: record.request.table.clone(),
            statement: record.request.text.clone(),
            state,
            step,
            throttled,
            progress,
            user: record.request.user.clone(),
            owner: record.owner.clone(),
            submitted: record.submitted,
            swapped: record.swapped,
            swap_took: record.swap_took,
            verify_held: record.verify_held,
            attempts: record.attempts,
            ended: record.ended,
            retires: record.kept.as_ref().map(|kept| kept.until),
            message: failure.or_else(|| record.message.clone()),
            reverts: record.reverts.clone(),
            acknowledged: record.request.acknowledged,
        }
    }
}

/// The end of a migration, if it has one.
fn end_of(record: &Record) -> Option<Ended> {
    let failure = || record.failure.clone().unwrap_or_else(|| Failure::new("it is not known why"));
    match record.state {
        State::Done => Some(Ended::Done { rows: record.rows }),
        State::Failed => Some(Ended::Failed(failure())),
        State::Cancelled => {
            let by = record.orders.cancelled_by.clone().unwrap_or_else(|| UserName::new("an operator"));
            Some(Ended::Cancelled { by })
        }
        State::Unknown => Some(Ended::Unknown(failure())),
        _ => None,
    }
}

/// Begins a task for each migration that is not over, while this proxy is to carry them out.
async fn carry_all_out(shared: Arc<Shared>) {
    let (mut changes, mut owned) = (shared.ledger.changes(), shared.owned());
    let mut running: HashMap<tokio::task::Id, MigrationId> = HashMap::new();
    let mut tasks: JoinSet<()> = JoinSet::new();
    loop {
        changes.mark_unchanged();
        if *owned.borrow_and_update() {
            let known: BTreeSet<MigrationId> = running.values().cloned().collect();
            let open = shared.ledger.all_open();
            for record in open.iter().filter(|record| !known.contains(&record.id)) {
                let task = tasks.spawn(carry_out(shared.clone(), record.id.clone()));
                running.insert(task.id(), record.id.clone());
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            changed = owned.changed() => if changed.is_err() { return },
            Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                let (task, fault) = match ended {
                    Ok((task, ())) => (task, None),
                    Err(error) => (error.id(), Some(error)),
                };
                let id = running.remove(&task);
                if let Some(error) = fault {
                    tracing::error!(?id, %error, "the task of a migration ended; it is begun again");
                }
                let record = id.and_then(|id| shared.ledger.get(&id));
                let is_over = record.is_none_or(|record| record.state.is_over());
                if !is_over {
                    // Its end could not be written down, or a fault of ours ended it: not at once again.
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            },
        }
    }
}

impl Step {
    /// Every step's name, for the documentation and tests.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|step| step.name()).collect()
    }
}
