//! The service: what doors call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::door::FleetError;
use super::door::FleetPlan;
use super::door::{DatabaseFilter, DatabaseRow, FleetEnded, FleetNotice, FleetRow, FleetStatus};
use super::door::{FleetRequest, Submitted};
use super::execute::LiveExecutor;
use super::prepare::{Draft, Made, make_plan, provisional};
use super::shown::Shown;
use super::survey::Definitions;
use super::turns::{Call, is_stopping, take_turns};
use crate::drain::proxy_name;
use crate::health::Meters;
use crate::ids::{Keyspace, MigrationId, UserName};
use crate::migrations::fleet::ledger::{Action, Moment, Order, Phase, Row};
use crate::migrations::fleet::schedule::{Command, LaneStatus, SubmitRefusal};
use crate::migrations::ledger::new_id;
use crate::migrations::{ClusterSignals, Migrations};
use crate::topology::{SnapshotCell, Store};

/// What a plan says of itself behind another migration of its table.
const PLANNED_AGAIN: &str = "this is what it would do as the databases are now: it is planned again when its \
                             turn comes";
/// Calls that wait for the next turn.
const CALLS_MAX: usize = 64;

/// Is told what happens.
pub trait FleetHook: Send + Sync {
    /// Something happened. Must not wait: it is called between two turns of the scheduler.
    fn tell(&self, notice: &FleetNotice);
}

/// What fleet migrations need of the modules above and beside them.
pub struct FleetSurroundings {
    /// Where workspaces and clusters are, with which login, and the settings.
    pub snapshots: Arc<SnapshotCell>,
    /// Where fleet migrations are written down.
    pub store: Arc<dyn Store>,
    /// Copies single tables.
    pub migrations: Migrations,
    /// How clusters are.
    pub signals: Arc<dyn ClusterSignals>,
    /// What clients' writes take.
    pub meters: Arc<Meters>,
    /// Is told what happens.
    pub hook: Arc<dyn FleetHook>,
}

/// Plans fleet migrations, takes them on, carries them out. One per proxy; cheap to clone.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

pub(super) struct Inner {
    pub(super) surroundings: FleetSurroundings,
    pub(super) owner: String,
    pub(super) definitions: Arc<Definitions>,
    pub(super) executor: Arc<LiveExecutor>,
    pub(super) shown: ArcSwap<Shown>,
    pub(super) changes: watch::Sender<u64>,
    pub(super) is_stopping: watch::Sender<bool>,
    calls: mpsc::Sender<Call>,
    /// Taken by the task that answers.
    called: std::sync::Mutex<Option<mpsc::Receiver<Call>>>,
}

impl Fleet {
    /// Nothing is read or carried out before [`Fleet::start`].
    pub fn new(surroundings: FleetSurroundings) -> Self {
        let (calls, called) = mpsc::channel(CALLS_MAX);
        let definitions = Arc::<Definitions>::default();
        let (snapshots, migrations) = (surroundings.snapshots.clone(), surroundings.migrations.clone());
        let executor = LiveExecutor::new(snapshots, migrations, definitions.clone());
        Self(Arc::new(Inner {
            surroundings,
            owner: proxy_name(),
            definitions,
            executor: Arc::new(executor),
            shown: ArcSwap::default(),
            changes: watch::Sender::new(0),
            is_stopping: watch::Sender::new(false),
            calls,
            called: std::sync::Mutex::new(Some(called)),
        }))
    }

    /// Reads what was begun before and goes on with it, and with whatever is submitted later. Another proxy
    /// may own fleet migrations: then this one waits for its turn.
    pub fn start(&self, background: &mut JoinSet<()>) {
        let called = self.0.called.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(called) = called {
            background.spawn(take_turns(self.0.clone(), called));
        }
    }

    /// Ends what waits, with [`FleetEnded::Elsewhere`], and begins nothing more. What is being changed goes
    /// on as far as it is on a server; the rest goes on when a proxy starts again.
    pub async fn stop(&self) {
        self.0.is_stopping.send_replace(true);
        // The turn that is being taken ends by itself.
        tokio::task::yield_now().await;
    }

    /// Says what a request would do: reads the definitions of all databases (paced, and remembered for some
    /// minutes), decides about each definition once. Sends nothing that changes a table. A statement that the
    /// rules refuse is no error here: it is in the plan.
    ///
    /// # Errors
    /// See [`FleetError`]; those about the store and the scheduler do not occur.
    ///
    /// Cancel safety: safe.
    pub async fn plan(&self, request: &FleetRequest) -> Result<FleetPlan, FleetError> {
        let Made { mut plan, lacks, .. } = self.make(request).await?;
        let rows = self.rows();
        let open = rows.iter().rev().filter(|row| !row.is_over() && row.keyspace == plan.keyspace);
        let is_shared = |row: &&FleetRow| {
            plan.steps.iter().any(|step| row.tables.iter().any(|own| own.eq_ignore_ascii_case(&step.table)))
        };
        plan.behind = open.filter(is_shared).map(|row| row.id.clone()).collect();
        if !plan.behind.is_empty() {
            plan.warnings.push(PLANNED_AGAIN.to_owned());
            if let Some(refused) = plan.refused.take_if(|_| lacks) {
                plan.warnings
                    .push(format!("as the databases are now it would be refused: {}", refused.message));
            }
        }
        Ok(plan)
    }

    /// The tables of a keyspace, in small letters, that migrations change which are not over.
    fn open_tables(&self, keyspace: &Keyspace) -> BTreeSet<String> {
        let shown = self.0.shown.load();
        let open = shown.statuses.values().map(|status| &status.row);
        let open = open.filter(|row| !row.is_over() && row.keyspace == *keyspace);
        open.flat_map(|row| row.tables.iter().map(|table| table.to_lowercase())).collect()
    }

    /// What an order is made of. Behind another migration of one of the tables it is a provisional one: what
    /// the databases are like now counts for nothing, but what the rules refuse is refused at once.
    async fn draft(&self, request: &FleetRequest) -> Result<Drafted, FleetError> {
        // Before the databases are read: one that ends meanwhile has changed what was read.
        let open = self.open_tables(&request.keyspace);
        let is_open = |table: &str| open.contains(&table.to_lowercase());
        match self.make(request).await {
            Ok(made) if !made.draft.steps.iter().any(|step| is_open(&step.table)) => {
                if let Some(refused) = made.plan.refused {
                    return Err(FleetError::Refused(refused));
                }
                let is_done = made.draft.rows.is_empty();
                Ok(if is_done {
                    Drafted::AllThere(made.plan.databases)
                } else {
                    Drafted::Todo(made.draft.into())
                })
            }
            Ok(Made { plan, lacks, .. }) => {
                if let Some(refused) = plan.refused.filter(|_| !lacks) {
                    return Err(FleetError::Refused(refused));
                }
                self.provisional(request).await
            }
            Err(FleetError::NoTable { table, .. }) if is_open(&table) => self.provisional(request).await,
            Err(error) => Err(error),
        }
    }

    async fn provisional(&self, request: &FleetRequest) -> Result<Drafted, FleetError> {
        let parts = &self.0.surroundings;
        let clusters = &parts.migrations.shared().clusters;
        let draft = provisional(&parts.snapshots.load(), clusters, request).await?;
        Ok(Drafted::Todo(draft.into()))
    }

    async fn make(&self, request: &FleetRequest) -> Result<Made, FleetError> {
        let parts = &self.0.surroundings;
        let clusters = &parts.migrations.shared().clusters;
        make_plan(&parts.snapshots.load(), clusters, &self.0.definitions, request).await
    }

    /// Takes a fleet migration on: it is in the store when this returns, and goes on whether or not anybody
    /// waits for it. Plans first; the plan is remembered, so that one shown a moment ago costs nothing again.
    ///
    /// # Errors
    /// See [`FleetError`].
    ///
    /// **Cancel safety**: it may have been taken on.
    pub async fn submit(&self, request: FleetRequest) -> Result<Submitted, FleetError> {
        if !self.0.surroundings.snapshots.load().config.schema_changes.is_enabled {
            return Err(FleetError::Off);
        }
        let draft = match self.draft(&request).await? {
            Drafted::Todo(draft) => *draft,
            Drafted::AllThere(databases) => return Ok(Submitted::AllThere { databases }),
        };
        let (order, rows) = order_of(&request, draft);
        let (id, keyspace, user) = (order.id.clone(), order.keyspace.clone(), order.user.clone());
        let pace = request.options.pace;
        let databases = rows.len();
        let order = Box::new(order);
        match self.call(|reply| Call::Submit { order, rows, pace, reply }).await {
            Ok(id) => {
                tracing::info!(target: "bulkhead::fleet", %id, %keyspace, %user, databases, "submitted");
                Ok(Submitted::Begun(id))
            }
            Err(FleetError::Submit(SubmitRefusal::Same(same))) => Ok(Submitted::Begun(same)),
            Err(error) => {
                tracing::warn!(target: "bulkhead::fleet", %id, %keyspace, %user, %error, "not submitted");
                Err(error)
            }
        }
    }

    /// The same for a request of which the plan was made a moment ago; where that found nothing to do the
    /// databases are not read a second time.
    ///
    /// # Errors
    /// See [`FleetError`].
    ///
    /// **Cancel safety**: it may have been taken on.
    pub async fn submit_planned(
        &self,
        request: FleetRequest,
        plan: &FleetPlan,
    ) -> Result<Submitted, FleetError> {
        let is_enabled = self.0.surroundings.snapshots.load().config.schema_changes.is_enabled;
        if is_enabled && plan.is_all_there() {
            return Ok(Submitted::AllThere { databases: plan.databases });
        }
        self.submit(request).await
    }

    /// Takes back what a migration that is over has changed, by a fleet migration of its own.
    ///
    /// # Errors
    /// See [`FleetError`].
    pub async fn revert(&self, id: &MigrationId, by: &UserName) -> Result<MigrationId, FleetError> {
        let (id, by) = (id.clone(), by.clone());
        self.call(|reply| Call::Revert { id, by, reply }).await
    }

    /// Waits for the end of a migration.
    ///
    /// Cancel safety: safe; the migration goes on.
    pub async fn wait(&self, id: &MigrationId) -> FleetEnded {
        let mut changes = self.changes();
        let mut stopping = self.0.is_stopping.subscribe();
        loop {
            changes.mark_unchanged();
            if *stopping.borrow_and_update() {
                return FleetEnded::Elsewhere;
            }
            match self.0.shown.load().statuses.get(id) {
                None => return FleetEnded::Unknown,
                Some(status) => {
                    if let Some(ended) = end_of(&status.row) {
                        return ended;
                    }
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return FleetEnded::Elsewhere },
                _ = stopping.changed() => {}
            }
        }
    }

    /// Every fleet migration that is known, newest first.
    pub fn rows(&self) -> Vec<FleetRow> {
        self.0.shown.load().statuses.values().rev().map(|status| status.row.clone()).collect()
    }

    /// One of them in full, as of the last turn (a quarter of a second ago at most, while it works).
    pub fn status(&self, id: &MigrationId) -> Option<FleetStatus> {
        self.0.shown.load().statuses.get(id).cloned()
    }

    /// Counts up whenever something that [`Fleet::rows`] or [`Fleet::status`] show has changed: for progress
    /// bars.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The clusters: budget, share in use, why closed, schema changes of others.
    pub fn lanes(&self) -> Vec<LaneStatus> {
        self.0.shown.load().lanes.clone()
    }

    /// Databases of a migration, in the order in which they come.
    ///
    /// # Errors
    /// [`FleetError::NotFound`], [`FleetError::Book`].
    pub async fn databases(
        &self,
        id: &MigrationId,
        filter: &DatabaseFilter,
    ) -> Result<Vec<DatabaseRow>, FleetError> {
        let (id, filter) = (id.clone(), filter.clone());
        self.call(|reply| Call::Databases { id, filter, reply }).await
    }

    /// Does what an operator asks; in words, what was done. It is in the store when this returns.
    ///
    /// # Errors
    /// [`FleetError::Command`], [`FleetError::NotOwner`], [`FleetError::Book`].
    pub async fn command(
        &self,
        id: &MigrationId,
        command: Command,
        by: &UserName,
    ) -> Result<String, FleetError> {
        let said = said(&command);
        let (own, user, told) = (id.clone(), by.clone(), format!("{command:?}"));
        self.call(|reply| Call::Command { id: own, command, by: user, reply }).await?;
        tracing::info!(target: "bulkhead::fleet", %id, command = told, %by, "an operator's command");
        Ok(format!("fleet migration {id}: {said}"))
    }

    /// What new databases are changed by, oldest first.
    pub(super) fn orders(&self) -> Vec<Arc<Order>> {
        self.0.shown.load().orders.clone()
    }

    pub(super) fn executor(&self) -> &Arc<LiveExecutor> {
        &self.0.executor
    }

    async fn call<T>(
        &self,
        call: impl FnOnce(oneshot::Sender<Result<T, FleetError>>) -> Call,
    ) -> Result<T, FleetError> {
        if is_stopping(&self.0.is_stopping) {
            return Err(FleetError::NotRunning);
        }
        let (reply, answer) = oneshot::channel();
        self.0.calls.send(call(reply)).await.map_err(|_| FleetError::NotRunning)?;
        answer.await.map_err(|_| FleetError::NotRunning)?
    }
}

/// What is to be taken on.
enum Drafted {
    /// This.
    Todo(Box<Draft>),
    /// Nothing: so many databases are as the statements would make them.
    AllThere(u32),
}

/// The order that a draft makes, with its rows.
fn order_of(request: &FleetRequest, draft: Draft) -> (Order, Vec<Row>) {
    let Draft { steps, statements, settings, again, waves, rows } = draft;
    let mut tables: Vec<String> = Vec::new();
    for step in &steps {
        if !tables.iter().any(|known| known.eq_ignore_ascii_case(&step.table)) {
            tables.push(step.table.clone());
        }
    }
    let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
    let now = SystemTime::now();
    let order = Order {
        id: new_id(now),
        keyspace: request.keyspace.clone(),
        tables,
        statement: texts.join("; "),
        steps,
        settings,
        action: Action::Change,
        prove: request.options.prove,
        acknowledged: request.options.acknowledged,
        statements,
        waves,
        user: request.user.clone(),
        submitted: Moment::from_wall(now),
        again: Some(Box::new(again)),
    };
    (order, rows)
}

/// The end of a migration, for whoever waits, if it has one.
fn end_of(row: &FleetRow) -> Option<FleetEnded> {
    let counts = row.counts;
    match &row.phase {
        Phase::Stopped { why } => Some(FleetEnded::Stopped { why: why.clone(), counts }),
        Phase::Refused { why } => Some(FleetEnded::Refused { why: why.clone() }),
        Phase::Finished if row.is_over() => Some(FleetEnded::Finished { counts }),
        Phase::Cancelled { by } if row.is_over() => Some(FleetEnded::Cancelled { by: by.clone(), counts }),
        _ => None,
    }
}

fn said(command: &Command) -> String {
    match command {
        Command::Pause => "begins nothing more".to_owned(),
        Command::Resume => "goes on".to_owned(),
        Command::Cancel => "ends; what is done stays".to_owned(),
        Command::RetryFailed => "tries the failed databases again".to_owned(),
        Command::Skip { database } => format!("leaves {database} out"),
        Command::SetPace(None) => "goes as fast as the clusters' budgets allow".to_owned(),
        Command::SetPace(Some(pace)) => format!(
            "changes {} databases at once and sends {} statements a second on each cluster at most",
            pace.at_once, pace.statements_per_second
        ),
    }
}
