//! Schema changes of all databases of a keyspace, as admin statements see them.

use super::context::AdminFuture;
use crate::error::ClientError;
use crate::ids::{MigrationId, UserName};
use crate::migrations::fleet::live::{
    DatabaseFilter, DatabaseRow, Fleet, FleetPlan, FleetRequest, FleetRow, FleetStatus, Submitted,
};
use crate::migrations::fleet::schedule::{Command, LaneStatus};

/// Shows fleet migrations.
pub trait FleetView: Send + Sync {
    /// Every fleet migration, newest first.
    fn rows(&self) -> Vec<FleetRow>;

    /// One of them, with its waves and clusters.
    fn status(&self, id: &MigrationId) -> Option<FleetStatus>;

    /// What each cluster bears of schema changes now.
    fn lanes(&self) -> Vec<LaneStatus>;

    /// Some of its databases.
    fn databases<'a>(
        &'a self,
        id: &'a MigrationId,
        filter: &'a DatabaseFilter,
    ) -> AdminFuture<'a, Result<Vec<DatabaseRow>, ClientError>>;
}

/// Takes orders about fleet migrations.
pub trait FleetOrders: Send + Sync {
    /// What a request would do.
    fn plan<'a>(&'a self, request: &'a FleetRequest) -> AdminFuture<'a, Result<FleetPlan, ClientError>>;

    /// Takes one on.
    fn submit(&self, request: FleetRequest) -> AdminFuture<'_, Result<Submitted, ClientError>>;

    /// Takes back what one has changed, by another one.
    fn revert<'a>(
        &'a self,
        id: &'a MigrationId,
        by: &'a UserName,
    ) -> AdminFuture<'a, Result<MigrationId, ClientError>>;

    /// Does what an operator asks; in words, what was done.
    fn command<'a>(
        &'a self,
        id: &'a MigrationId,
        command: Command,
        by: &'a UserName,
    ) -> AdminFuture<'a, Result<String, ClientError>>;
}

impl FleetView for Fleet {
    fn rows(&self) -> Vec<FleetRow> {
        Fleet::rows(self)
    }

    fn status(&self, id: &MigrationId) -> Option<FleetStatus> {
        Fleet::status(self, id)
    }

    fn lanes(&self) -> Vec<LaneStatus> {
        Fleet::lanes(self)
    }

    fn databases<'a>(
        &'a self,
        id: &'a MigrationId,
        filter: &'a DatabaseFilter,
    ) -> AdminFuture<'a, Result<Vec<DatabaseRow>, ClientError>> {
        Box::pin(async move { Ok(Fleet::databases(self, id, filter).await?) })
    }
}

impl FleetOrders for Fleet {
    fn plan<'a>(&'a self, request: &'a FleetRequest) -> AdminFuture<'a, Result<FleetPlan, ClientError>> {
        Box::pin(async move { Ok(Fleet::plan(self, request).await?) })
    }

    fn submit(&self, request: FleetRequest) -> AdminFuture<'_, Result<Submitted, ClientError>> {
        Box::pin(async move { Ok(Fleet::submit(self, request).await?) })
    }

    fn revert<'a>(
        &'a self,
        id: &'a MigrationId,
        by: &'a UserName,
    ) -> AdminFuture<'a, Result<MigrationId, ClientError>> {
        Box::pin(async move { Ok(Fleet::revert(self, id, by).await?) })
    }

    fn command<'a>(
        &'a self,
        id: &'a MigrationId,
        command: Command,
        by: &'a UserName,
    ) -> AdminFuture<'a, Result<String, ClientError>> {
        Box::pin(async move { Ok(Fleet::command(self, id, command, by).await?) })
    }
}
