//! Why a workspace was not changed.

use std::path::PathBuf;

use super::{ProvisionFault, RowFault};
use crate::error::{ClientError, Code};
use crate::ids::{Keyspace, ShardName, WorkspaceId};
use crate::topology::{RouteError, StoreError, WorkspaceState};

/// Why a directory command did nothing; import says how much it did.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// No such keyspace, directory or workspace, or its page is damaged.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The workspace is already there.
    #[error("the workspace {workspace} of {keyspace} is already on shard {shard}")]
    Exists {
        /// The keyspace.
        keyspace: Keyspace,
        /// The workspace.
        workspace: WorkspaceId,
        /// Where it is.
        shard: ShardName,
    },
    /// The workspace id makes no database name in a keyspace of a database per workspace.
    #[error("the workspace id {workspace} makes no valid database name in {keyspace}")]
    Unnameable {
        /// The keyspace.
        keyspace: Keyspace,
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// The keyspace has no shard of that name.
    #[error("{keyspace} has no shard {shard} (it has {})", join(known))]
    UnknownShard {
        /// The keyspace.
        keyspace: Keyspace,
        /// The name given.
        shard: ShardName,
        /// The names there are.
        known: Vec<ShardName>,
    },
    /// Every shard has weight 0.
    #[error("no shard of {keyspace} has a weight above 0; name the shard")]
    NoWeight {
        /// The keyspace.
        keyspace: Keyspace,
    },
    /// More shard names than a directory can hold.
    #[error("the directory holds 65,536 shard names already")]
    TooManyShards,
    /// The workspace's state does not allow the change.
    #[error("the workspace {workspace} is {state} and cannot {wanted}")]
    Busy {
        /// The workspace.
        workspace: WorkspaceId,
        /// Its state.
        state: WorkspaceState,
        /// What was wanted.
        wanted: &'static str,
    },
    /// The store did not take the change.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other writers changed the page each time.
    #[error("the directory page {key} was changed by others {attempts} times in a row")]
    Contended {
        /// The store's key.
        key: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The workspace's database could not be made.
    #[error("{0}")]
    Provision(#[from] ProvisionFault),
    /// Rows of an import are wrong; nothing was written.
    #[error("{} of {rows} rows cannot be imported, nothing was written; {}", faults.len(), first(faults))]
    Rows {
        /// Rows read.
        rows: usize,
        /// What is wrong, at most 100.
        faults: Vec<RowFault>,
    },
    /// An import stopped half-way.
    #[error(
        "the import stopped after {written} of {rows} workspaces: {cause}; SKIP EXISTING goes on from there"
    )]
    Stopped {
        /// Workspaces written.
        written: usize,
        /// Workspaces in the import.
        rows: usize,
        /// Why.
        #[source]
        cause: Box<WorkspaceError>,
    },
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

fn join(names: &[ShardName]) -> String {
    names.iter().map(ShardName::as_str).collect::<Vec<_>>().join(", ")
}

fn first(faults: &[RowFault]) -> String {
    faults.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl WorkspaceError {
    /// The code that a client or operator sees.
    pub fn code(&self) -> Code {
        match self {
            Self::Route(error) => ClientError::from(error.clone()).code,
            Self::Exists { .. } => Code::WorkspaceExists,
            Self::UnknownShard { .. } | Self::NoWeight { .. } => Code::AdminNotFound,
            Self::Busy { .. } => Code::WorkspaceBusy,
            Self::Store(_) | Self::Contended { .. } => Code::StoreFailed,
            Self::Provision(_) => Code::ProvisionFailed,
            Self::Unnameable { .. } | Self::TooManyShards | Self::Rows { .. } | Self::File { .. } => {
                Code::AdminFailed
            }
            Self::Stopped { cause, .. } => cause.code(),
        }
    }
}

impl From<WorkspaceError> for ClientError {
    fn from(error: WorkspaceError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
