//! Changing the directory: create, show, set, delete, list, import, export workspaces.
//!
//! Owns [`DirectoryAdmin`], the one writer of directories in this process. Every change is a compare-and-swap
//! of a page in the store and becomes visible only when the store has it; other proxies may write the same
//! pages.

mod change;
mod error;
mod export;
mod import;
mod provision;
mod rows;
mod server;
#[cfg(test)]
mod tests;

pub use error::WorkspaceError;
pub use import::{Existing, ImportReport};
pub use provision::{ProvisionFault, Provisioned};
pub use rows::{RowFault, RowFormat, WorkspaceRow};

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::directory::{Directory, Entry, ListFilter, Slot};
use super::store::Store;
use super::{RouteError, Shard, Snapshot, SnapshotCell, WorkspaceState};
use crate::ids::{Keyspace, ShardName, WorkspaceId};
use crate::vschema::Layout;

/// Changes directories; cheap to clone.
#[derive(Clone)]
pub struct DirectoryAdmin {
    store: Arc<dyn Store>,
    snapshots: Arc<SnapshotCell>,
    newest: Option<Arc<dyn NewestSchema>>,
}

/// What [`NewestSchema::bring_up`] returns.
pub type BringUpFuture<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Brings databases that are made from a template to what the other databases of the keyspace are by now.
pub trait NewestSchema: Send + Sync {
    /// Asked when the template was applied, before the workspace is in the directory. An error, in words,
    /// keeps it out; asked again, it goes on where it was.
    fn bring_up<'a>(
        &'a self,
        workspace: (&'a Keyspace, &'a WorkspaceId),
        database: &'a str,
        shard: &'a Shard,
    ) -> BringUpFuture<'a>;
}

/// What a new workspace gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWorkspace {
    /// The shard; `None`: the one with the fewest workspaces for its weight.
    pub shard: Option<ShardName>,
    /// The first state.
    pub state: WorkspaceState,
    /// Create its database from the keyspace's template first.
    pub with_database: bool,
}

impl Default for NewWorkspace {
    fn default() -> Self {
        Self { shard: None, state: WorkspaceState::Active, with_database: false }
    }
}

/// Says whether a rule that protects running workspaces may be overridden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Keep the rule.
    No,
    /// The operator knows better.
    Yes,
}

impl DirectoryAdmin {
    /// Works on the directories of the current snapshot.
    pub fn new(store: Arc<dyn Store>, snapshots: Arc<SnapshotCell>) -> Self {
        Self { store, snapshots, newest: None }
    }

    /// The same, with databases that are made brought up.
    #[must_use]
    pub fn with_newest(self, newest: Arc<dyn NewestSchema>) -> Self {
        Self { newest: Some(newest), ..self }
    }

    /// What the directory says.
    ///
    /// # Errors
    /// [`WorkspaceError::Route`] when the keyspace has no directory, the workspace is not there or its page
    /// is damaged.
    pub fn show(&self, keyspace: &Keyspace, workspace: &WorkspaceId) -> Result<Entry, WorkspaceError> {
        let snapshot = self.snapshots.load();
        let entry = snapshot.directory(keyspace)?.lookup(workspace)?;
        entry.ok_or_else(|| unknown(keyspace, workspace).into())
    }

    /// The first workspaces that match, in order.
    ///
    /// # Errors
    /// [`WorkspaceError::Route`] when the keyspace has no directory.
    pub fn list(
        &self,
        keyspace: &Keyspace,
        filter: &ListFilter,
    ) -> Result<Vec<(WorkspaceId, Entry)>, WorkspaceError> {
        Ok(self.snapshots.load().directory(keyspace)?.list(filter))
    }

    /// Reads every page of every directory again that changed in the store; the number of damaged pages.
    ///
    /// # Errors
    /// [`WorkspaceError::Store`] when the store cannot be read.
    pub async fn reload(&self) -> Result<usize, WorkspaceError> {
        let mut damaged = 0;
        for directory in self.snapshots.load().directories.iter() {
            damaged += directory.reload(&*self.store).await?.damaged.len();
        }
        Ok(damaged)
    }

    /// Adds a workspace, after its database when that is asked for.
    ///
    /// # Errors
    /// [`WorkspaceError::Exists`], [`WorkspaceError::UnknownShard`], [`WorkspaceError::NoWeight`],
    /// [`WorkspaceError::Provision`] (then the directory is unchanged), [`WorkspaceError::Store`].
    pub async fn create(
        &self,
        keyspace: &Keyspace,
        workspace: &WorkspaceId,
        new: &NewWorkspace,
    ) -> Result<Entry, WorkspaceError> {
        let snapshot = self.snapshots.load();
        let directory = snapshot.directory(keyspace)?;
        if let Some(entry) = directory.lookup(workspace)? {
            return Err(exists(keyspace, workspace, entry.shard));
        }
        check_name(&snapshot, keyspace, workspace)?;
        let shard = match &new.shard {
            Some(name) => known_shard(&snapshot, keyspace, name)?,
            None => self.remembered_shard(&snapshot, keyspace, workspace, new.with_database).await?,
        };
        if new.with_database {
            let made = provision::provision(&*self.store, &snapshot, &shard, workspace).await?;
            if let Some(newest) = &self.newest {
                let brought = newest.bring_up((keyspace, workspace), &made.database, &shard).await;
                let database = made.database;
                brought.map_err(|reason| ProvisionFault::Older { database, reason })?;
            }
        }
        let slot = Slot { revision: 1, shard: intern(directory, &shard.name)?, state: new.state };
        let edited = self.edit(directory, workspace, |current| match current {
            Some(slot) => Err(exists(keyspace, workspace, directory.entry(slot).shard)),
            None => Ok(Some(slot)),
        });
        let created = edited.await?;
        if new.with_database {
            provision::forget(&*self.store, keyspace, workspace).await;
        }
        created.map(|slot| directory.entry(slot)).ok_or_else(|| unknown(keyspace, workspace).into())
    }

    /// A workspace whose database was begun on a shard stays there when its creation is tried again.
    async fn remembered_shard(
        &self,
        snapshot: &Snapshot,
        keyspace: &Keyspace,
        workspace: &WorkspaceId,
        with_database: bool,
    ) -> Result<Arc<Shard>, WorkspaceError> {
        let begun =
            if with_database { provision::begun_on(&*self.store, keyspace, workspace).await? } else { None };
        match begun {
            Some(name) => known_shard(snapshot, keyspace, &name),
            None => choose_shard(snapshot, keyspace),
        }
    }

    /// Sets what a workspace accepts.
    ///
    /// # Errors
    /// [`WorkspaceError::Route`] when it is not there; [`WorkspaceError::Store`].
    pub async fn set_state(
        &self,
        keyspace: &Keyspace,
        workspace: &WorkspaceId,
        state: WorkspaceState,
    ) -> Result<Entry, WorkspaceError> {
        self.update(keyspace, workspace, |slot| Ok(Slot { state, ..slot })).await
    }

    /// Says that a workspace lives on another shard. Moves no data.
    ///
    /// # Errors
    /// [`WorkspaceError::Busy`] unless it is moving or suspended, or `force` is given;
    /// [`WorkspaceError::UnknownShard`]; [`WorkspaceError::Route`] when it is not there;
    /// [`WorkspaceError::Store`].
    pub async fn set_shard(
        &self,
        keyspace: &Keyspace,
        workspace: &WorkspaceId,
        shard: &ShardName,
        force: Force,
    ) -> Result<Entry, WorkspaceError> {
        let snapshot = self.snapshots.load();
        let shard = known_shard(&snapshot, keyspace, shard)?;
        let number = intern(snapshot.directory(keyspace)?, &shard.name)?;
        let is_free = |state| matches!(state, WorkspaceState::Moving | WorkspaceState::Suspended);
        let change = |slot: Slot| match force {
            Force::No if !is_free(slot.state) && slot.shard != number => {
                let (workspace, wanted) = (workspace.clone(), "change its shard");
                Err(WorkspaceError::Busy { workspace, state: slot.state, wanted })
            }
            _ => Ok(Slot { shard: number, ..slot }),
        };
        self.update(keyspace, workspace, change).await
    }

    /// Takes a workspace out of the directory. Its data stays where it is.
    ///
    /// # Errors
    /// [`WorkspaceError::Busy`] unless it is suspended, or `force` is given; [`WorkspaceError::Route`] when
    /// it is not there; [`WorkspaceError::Store`].
    pub async fn delete(
        &self,
        keyspace: &Keyspace,
        workspace: &WorkspaceId,
        force: Force,
    ) -> Result<(), WorkspaceError> {
        let snapshot = self.snapshots.load();
        let directory = snapshot.directory(keyspace)?;
        let removed = self.edit(directory, workspace, |current| match current {
            None => Err(unknown(keyspace, workspace).into()),
            Some(slot) if force == Force::No && slot.state != WorkspaceState::Suspended => {
                let workspace = workspace.clone();
                Err(WorkspaceError::Busy { workspace, state: slot.state, wanted: "be deleted" })
            }
            Some(_) => Ok(None),
        });
        removed.await.map(|_| ())
    }

    async fn update(
        &self,
        keyspace: &Keyspace,
        workspace: &WorkspaceId,
        change: impl Fn(Slot) -> Result<Slot, WorkspaceError>,
    ) -> Result<Entry, WorkspaceError> {
        let snapshot = self.snapshots.load();
        let directory = snapshot.directory(keyspace)?;
        let updated = self.edit(directory, workspace, |current| {
            let slot = current.ok_or_else(|| unknown(keyspace, workspace))?;
            let next = change(slot)?;
            let revision = if next == slot { slot.revision } else { slot.revision.saturating_add(1) };
            Ok(Some(Slot { revision, ..next }))
        });
        let slot = updated.await?;
        slot.map(|slot| directory.entry(slot)).ok_or_else(|| unknown(keyspace, workspace).into())
    }
}

fn unknown(keyspace: &Keyspace, workspace: &WorkspaceId) -> RouteError {
    RouteError::UnknownWorkspace { keyspace: keyspace.clone(), workspace: workspace.clone() }
}

fn exists(keyspace: &Keyspace, workspace: &WorkspaceId, shard: ShardName) -> WorkspaceError {
    WorkspaceError::Exists { keyspace: keyspace.clone(), workspace: workspace.clone(), shard }
}

fn intern(directory: &Directory, shard: &ShardName) -> Result<u16, WorkspaceError> {
    directory.shards().intern(shard).ok_or(WorkspaceError::TooManyShards)
}

/// Refuses a workspace that could never have its database.
fn check_name(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    workspace: &WorkspaceId,
) -> Result<(), WorkspaceError> {
    match snapshot.vschema.keyspace(keyspace.as_str()).map(|schema| &schema.layout) {
        Some(Layout::DatabasePerWorkspace(pattern)) if pattern.render(workspace).is_none() => {
            Err(WorkspaceError::Unnameable { keyspace: keyspace.clone(), workspace: workspace.clone() })
        }
        _ => Ok(()),
    }
}

fn known_shard(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    name: &ShardName,
) -> Result<Arc<Shard>, WorkspaceError> {
    snapshot.shard(keyspace, name.as_str()).cloned().ok_or_else(|| WorkspaceError::UnknownShard {
        keyspace: keyspace.clone(),
        shard: name.clone(),
        known: snapshot.shards(keyspace).iter().map(|shard| shard.name.clone()).collect(),
    })
}

/// The shard with the fewest workspaces for its weight; of equals, the first by name.
fn choose_shard(snapshot: &Snapshot, keyspace: &Keyspace) -> Result<Arc<Shard>, WorkspaceError> {
    let mut loads = ShardLoads::of(snapshot, keyspace)?;
    loads.place()
}

/// Workspaces on each shard that takes new ones; counts along while an import places many.
struct ShardLoads {
    keyspace: Keyspace,
    loads: Vec<(Arc<Shard>, u64)>,
}

impl ShardLoads {
    fn of(snapshot: &Snapshot, keyspace: &Keyspace) -> Result<Self, WorkspaceError> {
        let counts = snapshot.directory(keyspace)?.counts();
        let on = |shard: &Shard| {
            counts.iter().find(|(name, _)| *name == shard.name).map_or(0, |(_, states)| states.iter().sum())
        };
        let weighted = snapshot.shards(keyspace).iter().filter(|shard| shard.weight > 0);
        let loads = weighted.map(|shard| (Arc::clone(shard), on(shard))).collect();
        Ok(Self { keyspace: keyspace.clone(), loads })
    }

    /// Chooses a shard for one more workspace.
    fn place(&mut self) -> Result<Arc<Shard>, WorkspaceError> {
        // a/wa < b/wb as a*wb < b*wa: exact, and u128 holds any product.
        let first = self.loads.iter_mut().reduce(|best, next| {
            let best_load = u128::from(best.1) * u128::from(next.0.weight);
            let next_load = u128::from(next.1) * u128::from(best.0.weight);
            if next_load < best_load { next } else { best }
        });
        let (shard, count) =
            first.ok_or_else(|| WorkspaceError::NoWeight { keyspace: self.keyspace.clone() })?;
        *count += 1;
        Ok(Arc::clone(shard))
    }
}
