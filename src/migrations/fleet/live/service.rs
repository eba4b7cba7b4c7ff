//! The service: what doors call.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::error::FleetError;
use super::plan::FleetPlan;
use super::request::{FleetRequest, Submitted};
use super::view::{DatabaseFilter, DatabaseRow, FleetEnded, FleetNotice, FleetRow, FleetStatus};
use crate::health::Meters;
use crate::ids::{MigrationId, UserName};
use crate::migrations::fleet::schedule::{Command, LaneStatus};
use crate::migrations::{ClusterSignals, Migrations};
use crate::topology::{SnapshotCell, Store};

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

struct Inner {
    surroundings: FleetSurroundings,
    changes: watch::Sender<u64>,
}

impl Fleet {
    /// Nothing is read or carried out before [`Fleet::start`].
    pub fn new(surroundings: FleetSurroundings) -> Self {
        Self(Arc::new(Inner { surroundings, changes: watch::Sender::new(0) }))
    }

    /// Reads what was begun before and goes on with it, and with whatever is submitted later. Another proxy
    /// may own fleet migrations: then this one waits for its turn.
    pub fn start(&self, _background: &mut JoinSet<()>) {}

    /// Ends what waits, with [`FleetEnded::Elsewhere`], and begins nothing more. What is being changed goes
    /// on as far as it is on a server; the rest goes on when a proxy starts again.
    pub async fn stop(&self) {}

    /// Says what a request would do: reads the definitions of all databases (paced, and remembered for some
    /// minutes), decides about each definition once. Sends nothing that changes a table. A statement that the
    /// rules refuse is no error here: it is in the plan.
    ///
    /// # Errors
    /// See [`FleetError`]; those about the store and the scheduler do not occur.
    ///
    /// Cancel safety: safe.
    pub async fn plan(&self, _request: &FleetRequest) -> Result<FleetPlan, FleetError> {
        Err(FleetError::NotRunning)
    }

    /// Takes a fleet migration on: it is in the store when this returns, and goes on whether or not anybody
    /// waits for it. Plans first; the plan is remembered, so that one shown a moment ago costs nothing again.
    ///
    /// # Errors
    /// See [`FleetError`].
    ///
    /// **Cancel safety**: it may have been taken on.
    pub async fn submit(&self, _request: FleetRequest) -> Result<Submitted, FleetError> {
        Err(FleetError::NotRunning)
    }

    /// Takes back what a migration that is over has changed, by a fleet migration of its own.
    ///
    /// # Errors
    /// See [`FleetError`].
    pub async fn revert(&self, _id: &MigrationId, _by: &UserName) -> Result<MigrationId, FleetError> {
        Err(FleetError::NotRunning)
    }

    /// Waits for the end of a migration.
    ///
    /// Cancel safety: safe; the migration goes on.
    pub async fn wait(&self, _id: &MigrationId) -> FleetEnded {
        FleetEnded::Elsewhere
    }

    /// Every fleet migration that is known, newest first.
    pub fn rows(&self) -> Vec<FleetRow> {
        Vec::new()
    }

    /// One of them in full, as of the last turn (a tenth of a second ago at most, while it works).
    pub fn status(&self, _id: &MigrationId) -> Option<FleetStatus> {
        None
    }

    /// Counts up whenever something that [`Fleet::rows`] or [`Fleet::status`] show has changed: for progress
    /// bars.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The clusters: budget, share in use, why closed, schema changes of others.
    pub fn lanes(&self) -> Vec<LaneStatus> {
        Vec::new()
    }

    /// Databases of a migration, in the order in which they come.
    ///
    /// # Errors
    /// [`FleetError::NotFound`], [`FleetError::Book`].
    pub async fn databases(
        &self,
        _id: &MigrationId,
        _filter: &DatabaseFilter,
    ) -> Result<Vec<DatabaseRow>, FleetError> {
        Err(FleetError::NotRunning)
    }

    /// Does what an operator asks; in words, what was done. It is in the store when this returns.
    ///
    /// # Errors
    /// [`FleetError::Command`], [`FleetError::NotOwner`], [`FleetError::Book`].
    pub async fn command(
        &self,
        _id: &MigrationId,
        _command: Command,
        _by: &UserName,
    ) -> Result<String, FleetError> {
        Err(FleetError::NotRunning)
    }
}
