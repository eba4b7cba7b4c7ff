//! Limits of single workspaces: kept in the store, followed by every proxy.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clusters::Admissions;
use crate::drain::WorkspaceLimits;
use crate::error::{ClientError, Code};
use crate::ids::{Keyspace, WorkspaceId};
use crate::topology::{Expect, Store, StoreError};

/// Workspaces that may have limits of their own: they are for a few that need them, and all of them are kept
/// in memory.
pub const OWN_LIMITS_MAX: usize = 10_000;

/// All keys.
const PREFIX: &str = "limits/";
/// How often a change is tried again that another proxy's was faster than.
const TRIES_MAX: usize = 8;
/// Between losing the store's changes and asking for them anew.
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);

/// Why a workspace's limits were not changed.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Too many workspaces have limits of their own.
    #[error("{OWN_LIMITS_MAX} workspaces have limits of their own already")]
    TooMany,
    /// The workspace has none.
    #[error("the workspace {workspace} of {keyspace} has no limits of its own")]
    Unknown {
        /// The keyspace.
        keyspace: Keyspace,
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// The store did not take the change.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LimitError> for ClientError {
    fn from(error: LimitError) -> Self {
        let code = match error {
            LimitError::TooMany => Code::AdminFailed,
            LimitError::Unknown { .. } => Code::AdminNotFound,
            LimitError::Store(_) => Code::StoreFailed,
        };
        Self::new(code, error.to_string())
    }
}

/// What the store has of one workspace. The names in it are what counts, not the key's.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    keyspace: Keyspace,
    workspace: String,
    in_flight: Option<u32>,
    per_second: Option<f64>,
}

impl Stored {
    fn limits(&self) -> WorkspaceLimits {
        let per_second_max = self.per_second.filter(|rate| rate.is_finite() && *rate >= 0.0);
        WorkspaceLimits { in_flight_max: self.in_flight, per_second_max }
    }
}

/// The limits of single workspaces.
pub struct WorkspaceLimitsBook {
    store: Arc<dyn Store>,
    admissions: Arc<Admissions>,
}

impl WorkspaceLimitsBook {
    /// Of this store; for these admissions.
    pub fn new(store: Arc<dyn Store>, admissions: Arc<Admissions>) -> Self {
        Self { store, admissions }
    }

    /// Takes over what the store has.
    ///
    /// # Errors
    /// The store cannot be read; nothing has changed then.
    pub async fn load(&self) -> Result<(), StoreError> {
        let mut gone = self.admissions.own_limits();
        for (key, versioned) in self.store.list(PREFIX).await? {
            if let Some((keyspace, workspace, limits)) = read(&key, &versioned.value) {
                gone.remove(&(keyspace.clone(), workspace.clone()));
                self.admissions.limit_workspace(&keyspace, &workspace, Some(limits));
            }
        }
        gone.keys().for_each(|(keyspace, workspace)| {
            self.admissions.limit_workspace(keyspace, workspace, None);
        });
        Ok(())
    }

    /// Takes over changes that other proxies make, until dropped. While the store is away, what is known
    /// holds.
    pub async fn follow(self: Arc<Self>) {
        loop {
            let mut changes = self.store.watch(PREFIX);
            if let Err(error) = self.load().await {
                tracing::warn!(%error, "workspaces' limits not read again; those known hold");
            }
            while let Some(change) = changes.recv().await {
                match change.value.and_then(|stored| read(&change.key, &stored.value)) {
                    Some((keyspace, workspace, limits)) => {
                        self.admissions.limit_workspace(&keyspace, &workspace, Some(limits));
                    }
                    // The key alone does not tell the names apart: all are looked at.
                    None => break,
                }
            }
            tokio::time::sleep(FOLLOW_PAUSE).await;
        }
    }

    /// Sets what one workspace may use, from now on and on every proxy. What is absent in `limits` is as the
    /// configuration has it for all.
    ///
    /// # Errors
    /// [`LimitError::TooMany`], [`LimitError::Store`]; nothing has changed then.
    pub async fn set(
        &self,
        keyspace: &Keyspace,
        workspace: &WorkspaceId,
        limits: WorkspaceLimits,
    ) -> Result<(), LimitError> {
        let own = self.admissions.own_limits();
        if own.len() >= OWN_LIMITS_MAX && !own.contains_key(&(keyspace.clone(), workspace.clone())) {
            return Err(LimitError::TooMany);
        }
        let stored = Stored {
            keyspace: keyspace.clone(),
            workspace: workspace.to_string(),
            in_flight: limits.in_flight_max,
            per_second: limits.per_second_max,
        };
        let value = serde_json::to_vec(&stored).expect("names and numbers are JSON");
        self.change(&key_of(keyspace, workspace), Some(value)).await?;
        self.admissions.limit_workspace(keyspace, workspace, Some(limits));
        Ok(())
    }

    /// Takes one workspace's own limits away.
    ///
    /// # Errors
    /// [`LimitError::Unknown`], [`LimitError::Store`].
    pub async fn clear(&self, keyspace: &Keyspace, workspace: &WorkspaceId) -> Result<(), LimitError> {
        let name = (keyspace.clone(), workspace.clone());
        if !self.admissions.own_limits().contains_key(&name) {
            return Err(LimitError::Unknown { keyspace: name.0, workspace: name.1 });
        }
        self.change(&key_of(keyspace, workspace), None).await?;
        self.admissions.limit_workspace(keyspace, workspace, None);
        Ok(())
    }

    /// Writes or deletes a key, whatever it was: the last operator is right.
    async fn change(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        for _ in 1..TRIES_MAX {
            match self.change_once(key, value.clone()).await {
                Err(StoreError::Conflict { .. }) => {}
                done => return done,
            }
        }
        self.change_once(key, value).await
    }

    async fn change_once(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        let version = self.store.get(key).await?.map(|stored| stored.version);
        match (value, version) {
            (Some(value), Some(version)) => self.store.put_if(key, value, Expect::Version(version)).await?,
            (Some(value), None) => self.store.put_if(key, value, Expect::Absent).await?,
            (None, Some(version)) => self.store.delete_if(key, version).await?,
            (None, None) => return Ok(()),
        };
        Ok(())
    }
}

/// The length in front tells where the keyspace ends: two names never make one key.
fn key_of(keyspace: &Keyspace, workspace: &WorkspaceId) -> String {
    let keyspace = keyspace.as_str();
    format!("{PREFIX}{}:{keyspace}/{workspace}", keyspace.len())
}

/// Reads what the store has; what cannot be read is told and counts as not there.
fn read(key: &str, value: &[u8]) -> Option<(Keyspace, WorkspaceId, WorkspaceLimits)> {
    let stored: Stored = match serde_json::from_slice(value) {
        Ok(stored) => stored,
        Err(error) => {
            tracing::warn!(key, %error, "limits of a workspace that cannot be read; none are in force");
            return None;
        }
    };
    let workspace = WorkspaceId::parse(&stored.workspace)?;
    Some((stored.keyspace.clone(), workspace, stored.limits()))
}
