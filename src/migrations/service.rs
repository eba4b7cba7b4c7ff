//! The service: takes migrations on, carries them out, and answers for them.

use std::sync::Arc;
use std::time::Duration;

use super::error::{CommandError, SubmitError};
use super::request::{Command, MigrationRequest};
use super::view::{Ended, MigrationRow};
use crate::ids::{ClusterName, Keyspace, MigrationId, ShardName, TableName, UserName, WorkspaceId};
use crate::topology::{SnapshotCell, Store};

/// What migrations need of the modules above and beside them.
pub struct Surroundings {
    /// Where clusters are, and with which login.
    pub snapshots: Arc<SnapshotCell>,
    /// Where migrations are written down.
    pub store: Arc<dyn Store>,
    /// Holds statements back while tables are exchanged.
    pub gate: Arc<dyn TableGate>,
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
    surroundings: Surroundings,
}

impl Migrations {
    /// Nothing is carried out before `start`.
    pub fn new(surroundings: Surroundings) -> Self {
        Self(Arc::new(Inner { surroundings }))
    }

    /// Takes a migration on: it is durable in the store when this returns, and goes on whether or not anybody
    /// waits for it.
    ///
    /// # Errors
    /// See [`SubmitError`]; nothing was made then.
    ///
    /// **Cancel safety**: it may have been taken on.
    pub async fn submit(&self, request: MigrationRequest) -> Result<MigrationId, SubmitError> {
        let _ = (&self.0.surroundings.store, request);
        Err(SubmitError::Off)
    }

    /// Waits for the end of a migration. [`Ended::Elsewhere`] at once when this proxy does not carry it out.
    ///
    /// Cancel safety: safe; the migration goes on.
    pub async fn wait(&self, id: &MigrationId) -> Ended {
        let _ = id;
        Ended::Elsewhere
    }

    /// Every migration that the store knows, newest first.
    pub fn rows(&self) -> Vec<MigrationRow> {
        Vec::new()
    }

    /// One of them.
    pub fn row(&self, id: &MigrationId) -> Option<MigrationRow> {
        self.rows().into_iter().find(|row| row.id == *id)
    }

    /// Does what an operator asks; in words, what was done.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub async fn command(
        &self,
        id: &MigrationId,
        command: Command,
        by: &UserName,
    ) -> Result<String, CommandError> {
        let _ = (command, by);
        Err(CommandError::NotFound(id.clone()))
    }
}
