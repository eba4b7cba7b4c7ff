//! The ladder as operators see it: orders, events, samples.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::context::AdminFuture;
use crate::drain::{Command, Entry, Ownership, Stage, Step};
use crate::error::ClientError;
use crate::health::State;
use crate::ids::ClusterName;

/// One event of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEntry {
    /// Its number; absent while the store has not taken it.
    pub id: Option<u64>,
    /// What happened.
    pub entry: Arc<Entry>,
}

/// How a cluster was at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSample {
    /// When.
    pub at: SystemTime,
    /// Its state.
    pub state: State,
    /// Where it stood on the ladder.
    pub stage: Stage,
    /// Writes in flight.
    pub writes_in_flight: u32,
    /// Age of the oldest of them.
    pub oldest_write: Duration,
    /// How long the last heartbeat took that was answered.
    pub heartbeat_took: Option<Duration>,
    /// `Threads_running` of the primary.
    pub threads_running: Option<u32>,
    /// Connections that waited for metadata locks.
    pub metadata_lock_waiters: Option<u32>,
    /// Schema changes that ran.
    pub ddl_running: Option<u32>,
}

/// A statement that runs on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningStatement {
    /// The server's id of its connection.
    pub id: u64,
    /// The server's user.
    pub user: String,
    /// Without its values; empty: idle in a transaction.
    pub statement: String,
}

impl fmt::Display for RunningStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statement = if self.statement.is_empty() { "(idle in a transaction)" } else { &self.statement };
        write!(f, "#{} {}: {statement}", self.id, self.user)
    }
}

/// An order that is followed, or would be.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered {
    /// What is done at once.
    pub step: Step,
    /// For a failover that is only rehearsed: how it would go, or why it would not.
    pub plan: Option<Result<String, String>>,
}

/// Who decides, and how the ladder's own means are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderStanding {
    /// This proxy's name.
    pub proxy: String,
    /// The one that owns the lease.
    pub owner: Option<String>,
    /// What this one does.
    pub ownership: Ownership,
    /// Why the state store is away.
    pub store_away: Option<String>,
    /// Events that were not stored: it was away for too long.
    pub events_given_up: u64,
    /// Alerts that receivers took.
    pub alerts_delivered: u64,
    /// Alerts that a receiver did not take.
    pub alerts_failed: u64,
    /// Alerts that were not sent: too many waited.
    pub alerts_dropped: u64,
}

/// Gives orders, and shows what happened.
pub trait LadderView: Send + Sync {
    /// Gives an order, or only asks what it would do.
    fn order(&self, command: Command, is_rehearsal: bool) -> AdminFuture<'_, Result<Ordered, ClientError>>;

    /// Every event, oldest first.
    fn events(&self) -> Vec<LoggedEntry>;

    /// How a cluster was of late, oldest first.
    fn samples(&self, cluster: &ClusterName) -> Vec<ClusterSample>;

    /// Schema changes that run on a cluster's primary now; `None` when it does not say.
    fn running_ddl(&self, cluster: &ClusterName) -> AdminFuture<'_, Option<Vec<RunningStatement>>>;

    /// Who decides.
    fn standing(&self) -> LadderStanding;
}
