//! What is asked of migrations.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, Keyspace, ShardName, UserName, WorkspaceId};

/// A schema change of one table that is to be copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationRequest {
    /// The keyspace that the statement was for.
    pub keyspace: Keyspace,
    /// The shard that holds the table.
    pub shard: ShardName,
    /// The workspace whose database it is; absent where tables are shared or the keyspace is unsharded.
    pub workspace: Option<WorkspaceId>,
    /// The cluster that holds the shard.
    pub cluster: ClusterName,
    /// The database on the server.
    pub database: String,
    /// The table, as the server has it.
    pub table: String,
    /// The statement, in UTF-8: ALTER TABLE, CREATE INDEX, DROP INDEX, OPTIMIZE TABLE of that one table.
    pub text: String,
    /// What the statement means depends on.
    pub settings: StatementSettings,
    /// Rows are scanned before anything is made, where values can be lost.
    pub prove: bool,
    /// It is known that running code breaks.
    pub acknowledged: bool,
    /// The tables are not exchanged before an operator says so.
    pub postponed: bool,
    /// Whoever asks bounds how many there are at once on a cluster, as a fleet migration does by its budget:
    /// a table of one chunk takes no turn of `at_once` then, which is meant for copies that last.
    #[serde(default)]
    pub is_paced: bool,
    /// Who asked.
    pub user: UserName,
}

/// Settings of the session that change what a definition means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementSettings {
    /// `@@sql_mode`; empty text is the mode without any flag.
    pub sql_mode: String,
    /// `@@character_set_client`; empty: utf8mb4.
    pub character_set: String,
    /// `@@collation_connection`; empty: the character set's default.
    pub collation: String,
    /// `@@time_zone`, in which defaults of TIMESTAMP columns are written. Empty: UTC.
    pub time_zone: String,
}

/// What an operator can do with one migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Stops at the next chunk and holds nothing meanwhile; changes go on to be applied.
    Pause,
    /// Ends a pause, and a throttling by hand.
    Resume,
    /// Copies nothing for so long, then goes on by itself.
    Throttle(Duration),
    /// Ends it and drops its shadow table. Refused once the tables are exchanged.
    Cancel,
    /// Exchanges the tables as soon as they are equal: ends a postponement.
    CutOver,
    /// The same, and ends the connections that hold the table, except those whose transaction is large, that
    /// hold table locks, or that are prepared (XA).
    ForceCutOver,
    /// Does not exchange the tables until told.
    Postpone,
    /// Begins a failed or cancelled one again.
    Retry,
    /// Puts the old table back, with the changes made since: a migration of its own, whose id is answered.
    Revert,
    /// Drops the kept old table now. It cannot be reverted afterwards.
    Retire,
}

impl Command {
    /// Its word in admin statements, the command line and the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Throttle(_) => "throttle",
            Self::Cancel => "cancel",
            Self::CutOver => "cut-over",
            Self::ForceCutOver => "force-cut-over",
            Self::Postpone => "postpone",
            Self::Retry => "retry",
            Self::Revert => "revert",
            Self::Retire => "retire",
        }
    }
}
