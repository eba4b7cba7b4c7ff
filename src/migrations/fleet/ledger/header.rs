//! What is written down of a fleet migration as a whole.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::layout::Again;
use super::record::{Counts, Moment};
use crate::ids::{ClusterName, Keyspace, MigrationId, UserName};
use crate::migrations::StatementSettings;
use crate::migrations::fleet::definition::Fingerprint;

/// What is done to each database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The statement is carried out.
    Change,
    /// What another fleet migration changed is taken back.
    Revert {
        /// That one.
        of: MigrationId,
        /// That one took back something itself: the statement is carried out once more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        redoes: bool,
    },
}

/// A definition that the plan knows, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The definition before; absent: the table is not there.
    pub from: Option<Fingerprint>,
    /// The definition then; absent: the table is not there.
    pub to: Option<Fingerprint>,
}

/// What one statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// ALTER TABLE, CREATE INDEX, DROP INDEX.
    Alter,
    /// CREATE TABLE.
    CreateTable,
    /// DROP TABLE: renamed away, and dropped later.
    DropTable,
    /// CREATE VIEW, which replaces nothing unless it says OR REPLACE.
    CreateView,
    /// DROP VIEW.
    DropView,
}

/// A definition as a server printed it, kept so that a change can be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What SHOW CREATE TABLE printed.
    pub text: String,
}

/// One statement of a fleet migration. The statements of one are carried out in order in each database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStep {
    /// The statement.
    pub text: String,
    /// The table or view, as the servers have it.
    pub table: String,
    /// What it is.
    pub kind: StepKind,
    /// The definitions that the plan knows; none for views.
    pub wanted: Vec<Wanted>,
    /// The definitions before, for a revert; none when they are too long to be kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Before>,
}

/// A part of the databases that is done before the next part is begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// `canary`, `1 %`, `all`.
    pub name: String,
    /// Databases in it.
    pub databases: u32,
    /// After it is done, nothing is begun for so long, and all clusters have to be well meanwhile. In
    /// milliseconds.
    pub soak_ms: u64,
    /// More failures than these, and the migration stops.
    pub failures_max: u32,
    /// When clusters have become suspect more often than this meanwhile, the migration stops.
    pub closings_max: u32,
}

impl Wave {
    /// The pause after it.
    pub fn soak(&self) -> Duration {
        Duration::from_millis(self.soak_ms)
    }
}

/// How fast one fleet migration may go on each cluster; the cluster's own budget holds besides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Databases at once.
    pub at_once: u32,
    /// Statements in a second.
    pub statements_per_second: f64,
}

impl Pace {
    /// Says whether it is one that gets anywhere.
    pub fn is_valid(&self) -> bool {
        self.at_once >= 1 && self.statements_per_second.is_finite() && self.statements_per_second > 0.0
    }
}

/// What was asked, as it was planned. Changes once at most: when it is planned again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: MigrationId,
    /// The keyspace.
    pub keyspace: Keyspace,
    /// The tables that it changes, as the servers have them.
    pub tables: Vec<String>,
    /// The statements as they were asked for, for people: joined by `; `.
    pub statement: String,
    /// The statements, in order.
    pub steps: Vec<OrderStep>,
    /// What the statements mean depends on.
    pub settings: StatementSettings,
    /// What is done.
    pub action: Action,
    /// Rows are scanned first where values can be lost.
    pub prove: bool,
    /// It is known that running code breaks.
    pub acknowledged: bool,
    /// Statements that one database takes, for the budget.
    pub statements: u16,
    /// The waves, in order.
    pub waves: Vec<Wave>,
    /// Who asked.
    pub user: UserName,
    /// When.
    pub submitted: Moment,
    /// What it takes to plan it again; absent where that is never done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Box<Again>>,
}

/// Where a fleet migration stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on, or waits for its turn.
    Active,
    /// An operator paused it.
    Paused {
        /// Who.
        by: UserName,
    },
    /// It stopped by itself: too many failures, or clusters became suspect.
    Stopped {
        /// Why.
        why: String,
    },
    /// An operator ended it; what was done stays.
    Cancelled {
        /// Who.
        by: UserName,
    },
    /// When its turn came it was planned again, and could not be carried out as its databases were by then.
    /// Nothing was begun.
    Refused {
        /// Why.
        why: String,
    },
    /// Nothing is left to do.
    Finished,
}

impl Phase {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused { .. } => "paused",
            Self::Stopped { .. } => "stopped",
            Self::Cancelled { .. } => "cancelled",
            Self::Refused { .. } => "refused",
            Self::Finished => "finished",
        }
    }
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it stands.
    pub phase: Phase,
    /// Of those that change the same table, the one with the lowest number is first.
    pub turn: u64,
    /// The wave that is being done, from 0.
    pub wave: u16,
    /// That wave is done, and all is well since.
    pub soaking: Option<Moment>,
    /// Clusters became suspect so often in this wave.
    pub closings: u32,
    /// Slower than the clusters' budgets.
    pub pace: Option<Pace>,
    /// When it was finished, or had come to rest after it was cancelled.
    pub ended: Option<Moment>,
    /// How many databases there were of each kind then.
    pub totals: Option<Counts>,
    /// The same by cluster, and by wave within each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<(ClusterName, Vec<Counts>)>,
}

/// A fleet migration without its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// What was asked.
    pub order: Arc<Order>,
    /// How far it is.
    pub progress: Progress,
    /// Rows that it has.
    pub databases: u32,
    /// All rows are written.
    pub is_whole: bool,
    /// It was planned while another one that changes one of its tables was ahead of it. Nothing is begun
    /// before it is planned again, when its turn has come.
    #[serde(default)]
    pub is_provisional: bool,
    /// Which edition of its pages holds: counts up when it is planned again.
    #[serde(default)]
    pub edition: u16,
}

impl Header {
    /// One that begins.
    pub fn new(order: Order, databases: u32, turn: u64) -> Self {
        let progress = Progress {
            phase: Phase::Active,
            turn,
            wave: 0,
            soaking: None,
            closings: 0,
            pace: None,
            ended: None,
            totals: None,
            parts: Vec::new(),
        };
        let order = Arc::new(order);
        Self { order, progress, databases, is_whole: false, is_provisional: false, edition: 0 }
    }
}
