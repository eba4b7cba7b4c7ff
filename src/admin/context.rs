//! What admin statements work on: views that the server fills.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::fleet::{FleetOrders, FleetView};
use super::ladder::LadderView;
use crate::admission::{Admissions, WorkspaceLimitsBook};
use crate::backend::{PoolStats, Pools};
use crate::drain::{Decision, How, Stage};
use crate::error::ClientError;
use crate::failover::{Failovers, PrimaryRow};
use crate::health::{Evidence, Health, SignalKind, State};
use crate::ids::{ClusterName, MigrationId, SessionId, UserName};
use crate::migrations::{Command, MigrationRow, Migrations};
use crate::topology::{DirectoryAdmin, SnapshotCell, SnapshotChanges};

/// What an asynchronous view returns.
pub type AdminFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything an admin statement may see or act on.
#[derive(Clone)]
pub struct AdminContext {
    /// Routing truth.
    pub snapshots: Arc<SnapshotCell>,
    /// Changes directories.
    pub workspaces: DirectoryAdmin,
    /// What statements told about shards.
    pub health: Arc<Health>,
    /// How clusters are.
    pub clusters: Arc<dyn ClustersView>,
    /// Who may use clusters now.
    pub admissions: Arc<Admissions>,
    /// Limits of single workspaces.
    pub limits: Arc<WorkspaceLimitsBook>,
    /// Which servers are primaries.
    pub primaries: Arc<dyn PrimariesView>,
    /// Connections to servers.
    pub pools: Arc<dyn PoolsView>,
    /// Connected clients.
    pub sessions: Arc<dyn SessionsView>,
    /// Reads the files again.
    pub reload: Arc<dyn Reload>,
    /// Counts of the proxy itself.
    pub stats: Arc<dyn StatsView>,
    /// Orders and events.
    pub ladder: Arc<dyn LadderView>,
    /// Schema changes of single tables.
    pub migrations: Arc<dyn MigrationsView>,
    /// Schema changes of all databases of a keyspace.
    pub fleet: Arc<dyn FleetView>,
    /// Takes orders about those.
    pub fleet_orders: Arc<dyn FleetOrders>,
    /// Who asks; it is written down with every order.
    pub operator: UserName,
}

/// Shows which servers are primaries.
pub trait PrimariesView: Send + Sync {
    /// Every cluster, by name.
    fn primaries(&self) -> Vec<PrimaryRow>;
}

impl PrimariesView for Failovers {
    fn primaries(&self) -> Vec<PrimaryRow> {
        self.rows()
    }
}

/// Shows schema changes, and gives them commands.
pub trait MigrationsView: Send + Sync {
    /// Every migration, newest first.
    fn rows(&self) -> Vec<MigrationRow>;

    /// One of them.
    fn row(&self, id: &MigrationId) -> Option<MigrationRow>;

    /// Does what an operator asks; in words, what was done.
    fn command<'a>(
        &'a self,
        id: &'a MigrationId,
        command: Command,
        by: &'a UserName,
    ) -> AdminFuture<'a, Result<String, ClientError>>;
}

impl MigrationsView for Migrations {
    fn rows(&self) -> Vec<MigrationRow> {
        Migrations::rows(self)
    }

    fn row(&self, id: &MigrationId) -> Option<MigrationRow> {
        Migrations::row(self, id)
    }

    fn command<'a>(
        &'a self,
        id: &'a MigrationId,
        command: Command,
        by: &'a UserName,
    ) -> AdminFuture<'a, Result<String, ClientError>> {
        Box::pin(async move { Ok(Migrations::command(self, id, command, by).await?) })
    }
}

/// Shows pools.
pub trait PoolsView: Send + Sync {
    /// Every pool, as of now.
    fn pools(&self) -> Vec<PoolStats>;
}

impl PoolsView for Pools {
    fn pools(&self) -> Vec<PoolStats> {
        self.stats()
    }
}

/// One connected client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The id that KILL takes.
    pub id: SessionId,
    /// Who.
    pub user: UserName,
    /// From where.
    pub peer: String,
    /// The database it selected.
    pub database: Option<String>,
    /// What it does: `Query`, `Sleep`, ….
    pub command: String,
    /// For how long.
    pub command_time: Duration,
    /// Since it connected.
    pub connected: Duration,
    /// Where its current statement, transaction or pin is.
    pub cluster: Option<ClusterName>,
    /// A transaction is open.
    pub in_transaction: bool,
    /// Statements so far.
    pub statements: u64,
    /// Digest of the statement that runs or ran last.
    pub digest: Option<u64>,
}

/// What a KILL is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillTarget {
    /// The statement that runs.
    Query,
    /// The session.
    Connection,
}

/// Shows and ends sessions.
pub trait SessionsView: Send + Sync {
    /// Every session, in no order.
    fn sessions(&self) -> Vec<SessionRow>;

    /// Ends a session or what it runs; `false` when there is no such session.
    fn kill(&self, id: SessionId, target: KillTarget) -> AdminFuture<'_, Result<bool, ClientError>>;
}

/// Why files were not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadFault {
    /// One line for each fault, with file, line and column.
    pub faults: Vec<String>,
}

/// Reads config and vschema again.
pub trait Reload: Send + Sync {
    /// Swaps the whole snapshot, or changes nothing.
    fn reload(&self) -> AdminFuture<'_, Result<SnapshotChanges, ReloadFault>>;
}

/// Counts of the proxy itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyStats {
    /// Time since start.
    pub uptime: Duration,
    /// Sessions now.
    pub sessions: u64,
    /// Sessions since start.
    pub sessions_total: u64,
    /// Logins that failed.
    pub failed_logins: u64,
    /// Statements that found their plan in the cache.
    pub plan_cache_hits: u64,
    /// Statements that had to be planned.
    pub plan_cache_misses: u64,
    /// Plans in the cache.
    pub plan_cache_plans: u64,
    /// Bytes of the cache.
    pub plan_cache_bytes: u64,
    /// Reloads that swapped the snapshot.
    pub reloads: u64,
    /// Reloads that were refused.
    pub reload_failures: u64,
    /// Why the proxy wants no new clients; empty when it does.
    pub not_ready: Vec<String>,
}

/// Shows counts of the proxy itself.
pub trait StatsView: Send + Sync {
    /// The counts, as of now.
    fn stats(&self) -> ProxyStats;
}

/// How one cluster is.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthRow {
    /// Which.
    pub cluster: ClusterName,
    /// Its state.
    pub state: State,
    /// In this state for so long.
    pub state_for: Duration,
    /// Raised signals.
    pub evidence: Vec<Evidence>,
    /// What the heartbeat does, or why there is none.
    pub heartbeat: String,
    /// How long the last heartbeat took that was answered; absent before the first.
    pub heartbeat_took: Option<Duration>,
    /// How long ago that was.
    pub heartbeat_age: Option<Duration>,
    /// Writes in flight.
    pub writes_in_flight: u32,
    /// Age of the oldest of them.
    pub oldest_write: Duration,
    /// Where it stands on the ladder, and what else was decided about it.
    pub decision: Decision,
    /// It stands there for so long.
    pub stage_for: Duration,
    /// What was last advised or held back since it was open.
    pub advice: Option<Advice>,
}

/// A step that was due and not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// To where.
    pub stage: Stage,
    /// Advised, or held back.
    pub how: How,
    /// Why.
    pub why: String,
}

impl HealthRow {
    /// The raised signal that is furthest beyond its threshold; one that moves states before one that is only
    /// told.
    pub fn worst(&self) -> Option<&Evidence> {
        let ratio = |evidence: &Evidence| evidence.value / evidence.threshold;
        let moves = |evidence: &Evidence| evidence.signal.kind() != SignalKind::Context;
        let order =
            |a: &&Evidence, b: &&Evidence| moves(a).cmp(&moves(b)).then(ratio(a).total_cmp(&ratio(b)));
        self.evidence.iter().max_by(order)
    }
}

/// Shows how clusters are.
pub trait ClustersView: Send + Sync {
    /// Every cluster as of the last look, in order of names; none before the first.
    fn clusters(&self) -> Vec<HealthRow>;
}
