//! What is shown of fleet migrations, and how they end.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::error::{ClientError, Code, Outcome};
use crate::ids::{ClusterName, Keyspace, MigrationId, ShardName, UserName, WorkspaceId};
use crate::migrations::fleet::ledger::{Counts, Kind, Pace, Phase, Record, Wave};
use crate::migrations::fleet::schedule::{Event, LaneStatus, Stage};

/// One fleet migration in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetRow {
    /// Its id.
    pub id: MigrationId,
    /// The keyspace.
    pub keyspace: Keyspace,
    /// The statements, joined by `; `.
    pub statement: String,
    /// The tables that it changes.
    pub tables: Vec<String>,
    /// Who asked.
    pub user: UserName,
    /// When.
    pub submitted: SystemTime,
    /// Where it stands.
    pub phase: Phase,
    /// What it does now.
    pub stage: Stage,
    /// The wave, from 0.
    pub wave: u16,
    /// The name of that wave: `canary`, `1 %`, `all`.
    pub wave_name: String,
    /// How many waves it has.
    pub waves: u16,
    /// Its databases, all waves and clusters together.
    pub counts: Counts,
    /// Databases that were over in a second, of late.
    pub per_second: f64,
    /// Until all is over at that rate, pauses between waves not counted; absent while that is not known.
    pub remaining: Option<Duration>,
    /// Why it waits or stopped, in words; absent while it works or when it is over.
    pub waits_for: Option<String>,
    /// Some databases have the new definition and some the old.
    pub is_mixed: bool,
    /// The migration that this one takes back.
    pub reverts: Option<MigrationId>,
    /// When it was over.
    pub ended: Option<SystemTime>,
}

impl FleetRow {
    /// Says whether it is at rest for good.
    pub fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Share of its databases of which nothing more is to come, 0 to 1.
    pub fn share(&self) -> f64 {
        match self.counts.total() {
            0 => 1.0,
            total => f64::from(self.counts.over()) / f64::from(total),
        }
    }
}

/// One wave of a fleet migration.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveStatus {
    /// As it was laid out.
    pub wave: Wave,
    /// Its databases, all clusters together.
    pub counts: Counts,
}

/// One cluster's part of a fleet migration.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetClusterRow {
    /// The cluster's budget, how much of it is used, schema changes of others, why nothing is begun there.
    pub lane: LaneStatus,
    /// Its databases by wave.
    pub waves: Vec<Counts>,
}

impl FleetClusterRow {
    /// All waves together.
    pub fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.waves.iter().for_each(|wave| all.plus(wave));
        all
    }
}

/// One fleet migration in full.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetStatus {
    /// As in the list.
    pub row: FleetRow,
    /// The waves, in order.
    pub waves: Vec<WaveStatus>,
    /// The clusters, by name.
    pub clusters: Vec<FleetClusterRow>,
    /// Databases that failed or drifted, the first 20; their records say why.
    pub troubled: Vec<DatabaseRow>,
    /// Databases that are left for later, by why.
    pub later: BTreeMap<&'static str, u32>,
    /// Slower than the clusters' budgets.
    pub pace: Option<Pace>,
}

/// Which databases of a fleet migration are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseFilter {
    /// Only those that stand so.
    pub kind: Option<Kind>,
    /// Only those of this cluster.
    pub cluster: Option<ClusterName>,
    /// Those behind so many that match.
    pub skip: usize,
    /// At most so many.
    pub limit: usize,
}

/// One database of a fleet migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseRow {
    /// The database on the server.
    pub database: String,
    /// Its workspace; absent where tables are shared or the keyspace is unsharded.
    pub workspace: Option<WorkspaceId>,
    /// The shard.
    pub shard: ShardName,
    /// The cluster.
    pub cluster: ClusterName,
    /// Its wave, from 0.
    pub wave: u16,
    /// Where it stands, how often it was tried, and its last error.
    pub record: Record,
}

/// How a fleet migration ended, for whoever waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetEnded {
    /// Nothing is left to do; databases that failed, drifted or were skipped are among the counts.
    Finished {
        /// Its databases.
        counts: Counts,
    },
    /// It stopped by itself and waits for an operator: it is not over.
    Stopped {
        /// Why.
        why: String,
        /// Its databases as of then.
        counts: Counts,
    },
    /// An operator ended it; what was done stays.
    Cancelled {
        /// Who.
        by: UserName,
        /// Its databases.
        counts: Counts,
    },
    /// When its turn came it was planned again, and refused: nothing was begun.
    Refused {
        /// Why.
        why: String,
    },
    /// This proxy stops, or another one carries it out: it goes on.
    Elsewhere,
    /// There is no such migration, or not any more.
    Unknown,
}

impl FleetEnded {
    /// What the client that waited sees; absent when every database is as the statements make it.
    pub fn error(&self, id: &MigrationId) -> Option<ClientError> {
        let error = |code, message: String| Some(ClientError::new(code, message));
        match self {
            Self::Finished { counts } if counts.done() + counts.of(Kind::Gone) == counts.total() => None,
            Self::Finished { counts } => error(
                Code::FleetIncomplete,
                format!(
                    "fleet migration {id}: {} databases are changed; {} failed, {} drifted, {} were skipped",
                    counts.done(),
                    counts.of(Kind::Failed),
                    counts.of(Kind::Drifted),
                    counts.of(Kind::Skipped),
                ),
            ),
            Self::Stopped { why, counts } => error(
                Code::FleetStopped,
                format!(
                    "fleet migration {id} stopped at {} of {} databases: {why}",
                    counts.done(),
                    counts.total()
                ),
            ),
            Self::Cancelled { by, counts } => error(
                Code::FleetCancelled,
                format!(
                    "fleet migration {id} was cancelled by {by}; {} of {} databases are changed",
                    counts.done(),
                    counts.total()
                ),
            ),
            Self::Refused { why } => error(
                Code::FleetRefused,
                format!("fleet migration {id}, planned again when its turn came: {why}; nothing was changed"),
            ),
            Self::Elsewhere => {
                let message = format!("fleet migration {id} goes on without this session");
                let error = ClientError::new(Code::FleetElsewhere, message);
                Some(error.with_outcome(Outcome::Unknown))
            }
            Self::Unknown => error(Code::AdminNotFound, format!("no fleet migration {id}")),
        }
    }
}

/// Something to tell people: the event log, alerts, a webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetNotice {
    /// What happened.
    pub event: Event,
    /// The migration as of then; absent for what happened to a cluster.
    pub row: Option<FleetRow>,
}
