//! Changing single databases on real servers: what a session would do for one, once.
//!
//! - `stand`: what a step finds of what it would do. Pure.
//! - `hold`: the connection on which a database is looked at and changed, with a named lock of the server
//!   that is there exactly as long as the connection is: who finds it free knows that nothing is at work.
//! - `alter`: ALTER TABLE and the like: decided with the live definition, then direct or by copy.
//! - `direct`: on the server itself, with an assertion and a bounded wait.
//! - `whole`: tables and views that are made and dropped.
//! - `twin`: whether a view that is there is the one that a statement makes.
//! - `trouble`: what errors mean for the database.

mod alter;
mod direct;
mod hold;
mod stand;
mod trouble;
mod twin;
mod whole;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use self::direct::MARK;
use self::hold::{Hold, Idle};
use self::stand::{Stand, stand};
use self::trouble::Trouble;
use super::prepare::plan_again;
use super::survey::{Definitions, Found};
use crate::ids::{ClusterName, MigrationId};
use crate::migrations::fleet::drive::{Executor, ExecutorFuture};
use crate::migrations::fleet::ledger::{Ending, Order, OrderStep, Outcome, StepKind, Steps, Why};
use crate::migrations::fleet::schedule::{Afresh, Unplanned, Work};
use crate::migrations::run::Clusters;
use crate::migrations::{Command, Failure, Migrations};
use crate::topology::SnapshotCell;

/// Changes databases on the servers of the present snapshot.
pub(super) struct LiveExecutor {
    snapshots: Arc<SnapshotCell>,
    clusters: Arc<Clusters>,
    migrations: Migrations,
    definitions: Arc<Definitions>,
    idle: Idle,
    /// Databases of each cluster that are being changed here.
    active: Mutex<BTreeMap<ClusterName, u32>>,
    /// Rows that were told to stop.
    stopped: Mutex<HashSet<(MigrationId, u32)>>,
}

/// What a step came to.
enum Done {
    /// It was done already.
    There,
    /// It is done now.
    Changed,
    /// Nothing more is to be done with the database.
    Ends(Outcome),
}

/// Counts a database until dropped.
struct Counted<'a> {
    executor: &'a LiveExecutor,
    cluster: ClusterName,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut active = self.executor.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = active.get_mut(&self.cluster) {
            *count = count.saturating_sub(1);
        }
    }
}

impl LiveExecutor {
    pub(super) fn new(
        snapshots: Arc<SnapshotCell>,
        migrations: Migrations,
        definitions: Arc<Definitions>,
    ) -> Self {
        let clusters = migrations.shared().clusters.clone();
        Self {
            snapshots,
            clusters,
            migrations,
            definitions,
            idle: Idle::default(),
            active: Mutex::default(),
            stopped: Mutex::default(),
        }
    }

    /// Databases of a cluster that are being changed here.
    pub(super) fn active_on(&self, cluster: &ClusterName) -> u32 {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.get(cluster).copied().unwrap_or_default()
    }

    /// Closes connections that nobody has used for a while.
    pub(super) async fn close_idle(&self) {
        self.idle.close_old().await;
    }

    fn count(&self, cluster: &ClusterName) -> Counted<'_> {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        *active.entry(cluster.clone()).or_default() += 1;
        Counted { executor: self, cluster: cluster.clone() }
    }

    fn was_stopped(&self, work: &Work) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.contains(&(work.order.id.clone(), work.row))
    }

    /// Every step in order, each looked at first.
    async fn change_all(&self, work: &Work, steps: &mut Steps) -> Result<Outcome, Trouble> {
        let _counted = self.count(&work.cluster);
        let mut hold = Hold::take(&self.clusters, &self.idle, work).await?;
        for at in 0..work.order.steps.len() {
            if self.was_stopped(work) {
                return Ok(Outcome::Unchanged);
            }
            if steps.made != 0 {
                // A copy may have taken longer than the server keeps a connection that says nothing.
                hold.give_back(&self.idle).await;
                hold = Hold::take(&self.clusters, &self.idle, work).await?;
            }
            if work.passes_over(at) {
                continue;
            }
            let done = self.change_step(work, at, &mut hold).await;
            match done.inspect_err(|trouble| steps.unsure |= u64::from(trouble.is_unknown()) << at)? {
                Done::There => steps.there |= 1 << at,
                Done::Changed => steps.made |= 1 << at,
                Done::Ends(outcome) => return Ok(outcome),
            }
        }
        hold.give_back(&self.idle).await;
        Ok(if steps.made != 0 { Outcome::Changed } else { Outcome::There })
    }

    async fn change_step(&self, work: &Work, at: usize, hold: &mut Hold) -> Result<Done, Trouble> {
        let step = &work.order.steps[at];
        self.definitions.forget((&work.cluster, &work.database, &step.table));
        let found = hold.find(&self.definitions, &step.table).await?;
        match self.settled_stand(work, at, (&found, hold)).await? {
            Stand::There => return Ok(Done::There),
            Stand::Missing => return Ok(Done::Ends(Outcome::Gone)),
            Stand::Odd(like) => return Ok(Done::Ends(Outcome::Drifted(like))),
            Stand::Unread(why) => return Err(Trouble::again(why)),
            Stand::Todo | Stand::View => {}
        }
        let clears = self.migrations.active_on_table(&work.cluster, &work.database, &step.table);
        if let Some(other) = clears {
            return Err(Trouble::again(format!("migration {other} changes the table")));
        }
        let done = match step.kind {
            StepKind::Alter => match self.alter(work, step, (&found, hold)).await {
                Err(Trouble::Failed(failure)) => return Err(self.failed_or_gone(work, step, failure).await),
                altered => altered?,
            },
            StepKind::CreateTable | StepKind::CreateView | StepKind::DropView => {
                self.make(work, step, hold).await?
            }
            StepKind::DropTable => self.put_away(work, step, (&found, hold)).await?,
        };
        self.definitions.forget((&work.cluster, &work.database, &step.table));
        Ok(done)
    }

    /// A change that failed because its table was dropped meanwhile has not failed: there is nothing to
    /// change any more. What a copy says of it depends on where it was.
    async fn failed_or_gone(&self, work: &Work, step: &OrderStep, failure: Failure) -> Trouble {
        let found = async {
            // The connection that waited for a copy may have been closed by its server.
            let mut hold = Hold::look(&self.clusters, &self.idle, work).await?;
            let found = hold.find(&self.definitions, &step.table).await?;
            hold.give_back(&self.idle).await;
            Ok::<_, Trouble>(found)
        };
        match found.await {
            Ok(Found::Missing | Found::Gone) => Trouble::Gone,
            _ => Trouble::Failed(failure),
        }
    }

    /// Where a database stands before a step; of a view, after a comparison with what the step makes.
    async fn settled_stand(
        &self,
        work: &Work,
        at: usize,
        (found, hold): (&Found, &mut Hold),
    ) -> Result<Stand, Trouble> {
        match stand(&work.order.steps, at, found) {
            Stand::View => twin::compare(work, &work.order.steps[at], hold).await,
            stand => Ok(stand),
        }
    }

    /// What became of a database that was begun once.
    async fn look_at(&self, work: &Work) -> Result<Outcome, Trouble> {
        let order = &work.order;
        for step in &order.steps {
            if self.migrations.active_on_table(&work.cluster, &work.database, &step.table).is_some() {
                return Ok(Outcome::StillRunning);
            }
        }
        let mut hold = Hold::look(&self.clusters, &self.idle, work).await?;
        if !hold.is_free(work).await? {
            return Ok(Outcome::StillRunning);
        }
        let mut outcome = Outcome::Changed;
        let own = order.steps.iter().enumerate().filter(|(at, _)| !work.passes_over(*at));
        for (at, step) in own {
            self.definitions.forget((&work.cluster, &work.database, &step.table));
            let found = hold.find(&self.definitions, &step.table).await?;
            match self.settled_stand(work, at, (&found, &mut hold)).await? {
                Stand::There => {}
                Stand::Todo | Stand::View => {
                    outcome = Outcome::Unchanged;
                    break;
                }
                Stand::Missing => {
                    outcome = Outcome::Gone;
                    break;
                }
                Stand::Odd(like) => {
                    outcome = Outcome::Drifted(like);
                    break;
                }
                Stand::Unread(why) => return Err(Trouble::again(why)),
            }
        }
        hold.give_back(&self.idle).await;
        Ok(outcome)
    }
}

impl Executor for LiveExecutor {
    fn change(&self, work: Work) -> ExecutorFuture<'_, Ending> {
        Box::pin(async move {
            if self.clusters.cluster(&work.cluster).is_none() {
                return Outcome::Later(Why::Unplaced).into();
            }
            let mut steps = Steps::default();
            let outcome = self.change_all(&work, &mut steps).await.unwrap_or_else(Trouble::into_outcome);
            let (id, database) = (&work.order.id, &work.database);
            let cluster = &work.cluster;
            tracing::debug!(target: "bulkhead::fleet", %id, %cluster, database, ?outcome, "change");
            Ending { outcome, steps }
        })
    }

    fn look(&self, work: Work) -> ExecutorFuture<'_, Outcome> {
        Box::pin(async move {
            match self.look_at(&work).await {
                Ok(outcome) => outcome,
                // Nothing was sent by the look; what became of the change is as little known as before.
                Err(trouble) => Outcome::Unknown(Failure::new(trouble.to_string())),
            }
        })
    }

    fn stop(&self, work: Work) -> ExecutorFuture<'_, ()> {
        Box::pin(async move {
            let row = (work.order.id.clone(), work.row);
            self.stopped.lock().unwrap_or_else(PoisonError::into_inner).insert(row);
            for step in &work.order.steps {
                let active = self.migrations.active_on_table(&work.cluster, &work.database, &step.table);
                let Some(id) = active else { continue };
                // It may have ended by itself meanwhile.
                if let Err(error) = self.migrations.command(&id, Command::Cancel, &work.order.user).await {
                    tracing::debug!(target: "bulkhead::fleet", %id, %error, "a copy is not stopped");
                }
            }
        })
    }

    fn plan(&self, order: Arc<Order>) -> ExecutorFuture<'_, Result<Afresh, Unplanned>> {
        Box::pin(async move {
            let id = order.id.clone();
            let planned =
                plan_again(&self.snapshots.load(), (&self.clusters, &self.definitions), &order).await;
            match &planned {
                Ok(afresh) => {
                    let (databases, settled) = (afresh.rows.len(), afresh.settled.len());
                    tracing::info!(
                        target: "bulkhead::fleet",
                        %id, databases, settled, "its turn has come, and it is planned again"
                    );
                }
                Err(why) => {
                    tracing::warn!(target: "bulkhead::fleet", %id, ?why, "its turn has come: not planned");
                }
            }
            planned
        })
    }
}
