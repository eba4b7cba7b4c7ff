//! What is shown of migrations.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::error::{ClientError, Code, Outcome};
use crate::ids::{ClusterName, MigrationId, UserName};

/// Where a migration stands, for people and programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for its turn on the cluster.
    Queued,
    /// Checks the table and makes the shadow table.
    Preparing,
    /// Copies rows and applies changes.
    Copying,
    /// Compares the tables.
    Verifying,
    /// Equal; waits for an operator.
    Postponed,
    /// Exchanges the tables.
    CuttingOver,
    /// Done; the old table may still be kept.
    Done,
    /// Ended without a change of the table.
    Failed,
    /// Ended by an operator without a change of the table.
    Cancelled,
    /// What became of the exchange is not known: the server could not be asked. It is asked again; until it
    /// answers neither success nor failure is reported.
    Unknown,
}

impl State {
    /// Every state, in the order of a migration's life.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Preparing,
        Self::Copying,
        Self::Verifying,
        Self::Postponed,
        Self::CuttingOver,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// Name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Preparing => "preparing",
            Self::Copying => "copying",
            Self::Verifying => "verifying",
            Self::Postponed => "postponed",
            Self::CuttingOver => "cutting_over",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// Says whether nothing more happens by itself, retiring apart.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// How a migration ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The table is changed.
    Done {
        /// Rows that the table had when it was copied: what a server answers as affected by an ALTER TABLE
        /// that copies.
        rows: u64,
    },
    /// The table is as it was.
    Failed(Failure),
    /// The table is as it was; an operator ended it.
    Cancelled {
        /// Who.
        by: UserName,
    },
    /// It is not known yet whether the table was changed; the ledger says when it is.
    Unknown(Failure),
    /// This proxy stops, or another one took the migration over: it goes on, and its end is in the ledger.
    Elsewhere,
}

/// Why a migration did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// errno and SQLSTATE of the server's own error, where it is the statement's: 1062 for a duplicate that a
    /// new unique key met, 1101 for a default that is not allowed.
    pub server: Option<(u16, String)>,
    /// In words, without values of rows, except the duplicate key of a server's own message.
    pub message: String,
}

impl Failure {
    /// One that is no server's.
    pub fn new(message: impl Into<String>) -> Self {
        Self { server: None, message: message.into() }
    }
}

impl Ended {
    /// What the client that waited sees; absent when the table is changed.
    pub fn error(&self, id: &MigrationId) -> Option<ClientError> {
        match self {
            Self::Done { .. } => None,
            Self::Failed(failure) => Some(match &failure.server {
                Some((errno, state)) => {
                    let mut bytes = *b"HY000";
                    if state.len() == bytes.len() {
                        bytes.copy_from_slice(state.as_bytes());
                    }
                    ClientError::from_server(*errno, bytes, &failure.message)
                }
                None => {
                    ClientError::new(Code::MigrationFailed, format!("migration {id}: {}", failure.message))
                }
            }),
            Self::Cancelled { by } => {
                let message = format!("migration {id} was cancelled by {by}");
                Some(ClientError::new(Code::MigrationCancelled, message))
            }
            Self::Unknown(failure) => {
                let message = format!("migration {id}: {}", failure.message);
                Some(ClientError::new(Code::MigrationUnknown, message).with_outcome(Outcome::Unknown))
            }
            Self::Elsewhere => {
                let message = format!("migration {id} goes on without this session");
                Some(ClientError::new(Code::MigrationElsewhere, message).with_outcome(Outcome::Unknown))
            }
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Rows copied.
    pub rows_copied: u64,
    /// Rows that the table is estimated to have.
    pub rows_estimated: u64,
    /// Changes applied.
    pub changes_applied: u64,
    /// Rows copied per second, of late.
    pub rows_per_second: f64,
    /// How far the applied changes are behind the newest; absent without a feed.
    pub behind: Option<Duration>,
    /// Share of the table that is compared, 0 to 1; absent before.
    pub compared: Option<f64>,
}

impl Progress {
    /// Share of the rows that is copied, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.rows_estimated == 0 {
            return 0.0;
        }
        (self.rows_copied as f64 / self.rows_estimated as f64).min(1.0)
    }

    /// Until the copy is done at the present rate; absent while that is not known.
    pub fn remaining(&self) -> Option<Duration> {
        let left = self.rows_estimated.saturating_sub(self.rows_copied) as f64;
        (self.rows_per_second > 0.0).then(|| Duration::from_secs_f64((left / self.rows_per_second).min(1e9)))
    }
}

/// One migration, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct MigrationRow {
    /// Its id.
    pub id: MigrationId,
    /// The cluster.
    pub cluster: ClusterName,
    /// The database on the server.
    pub database: String,
    /// The table.
    pub table: String,
    /// The statement.
    pub statement: String,
    /// Where it stands.
    pub state: State,
    /// The step that it is at: one of `run`'s named steps.
    pub step: &'static str,
    /// Why the copy waits, or will when it comes to it: operators' orders first.
    pub throttled: Option<String>,
    /// How far it is.
    pub progress: Progress,
    /// Who asked for it.
    pub user: UserName,
    /// The proxy that carries it out; absent when none does.
    pub owner: Option<String>,
    /// When it was asked for.
    pub submitted: SystemTime,
    /// When the tables were exchanged.
    pub swapped: Option<SystemTime>,
    /// How long the exchange held the table's statements.
    pub swap_took: Option<Duration>,
    /// Longest that the table's writers had to wait for the beginning of a comparison.
    pub verify_held: Option<Duration>,
    /// How often it tried to exchange the tables.
    pub attempts: u32,
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// When the old table is dropped; absent when there is none.
    pub retires: Option<SystemTime>,
    /// Why it failed, or what it waits for.
    pub message: Option<String>,
    /// The migration that this one takes back.
    pub reverts: Option<MigrationId>,
    /// Running code was known to break.
    pub acknowledged: bool,
}
