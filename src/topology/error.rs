//! Why a route cannot be given.

use crate::error::{ClientError, Code};
use crate::ids::{ClusterName, KeyRange, Keyspace, KeyspaceId, ShardName, WorkspaceId};

/// Why the snapshot has no shard for what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The keyspace is not in the topology.
    #[error("the keyspace {keyspace} has no shards in this configuration")]
    UnknownKeyspace {
        /// The keyspace.
        keyspace: Keyspace,
    },
    /// The cluster is not in the topology.
    #[error("the cluster {cluster} is not in this configuration")]
    UnknownCluster {
        /// The cluster.
        cluster: ClusterName,
    },
    /// The directory has no entry.
    #[error("the workspace {workspace} is not in the directory of {keyspace}")]
    UnknownWorkspace {
        /// The keyspace.
        keyspace: Keyspace,
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// The keyspace's workspaces are not placed by a directory.
    #[error("the keyspace {keyspace} has no directory")]
    NoDirectory {
        /// The keyspace.
        keyspace: Keyspace,
    },
    /// The page of the directory that would hold the workspace is damaged.
    #[error("the directory page {key} is damaged ({reason}); the workspace {workspace} may be in it")]
    DamagedPage {
        /// The store's key of the page.
        key: String,
        /// What is wrong with it.
        reason: String,
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// The directory names a shard that the configuration does not have.
    #[error("the workspace {workspace} is on shard {shard}, which is not in the configuration of {keyspace}")]
    MissingShard {
        /// The keyspace.
        keyspace: Keyspace,
        /// The workspace.
        workspace: WorkspaceId,
        /// The shard.
        shard: ShardName,
    },
    /// No range holds the keyspace id.
    #[error("no shard of {keyspace} holds the keyspace id {id}")]
    NoShard {
        /// The keyspace.
        keyspace: Keyspace,
        /// The keyspace id.
        id: KeyspaceId,
    },
    /// The range of keyspace ids is on several shards.
    #[error("the keyspace ids {range} are on {count} shards of {keyspace}")]
    SeveralShards {
        /// The keyspace.
        keyspace: Keyspace,
        /// The range.
        range: KeyRange,
        /// How many.
        count: usize,
    },
    /// One shard was asked for, and the keyspace has several.
    #[error("the keyspace {keyspace} has {count} shards")]
    Sharded {
        /// The keyspace.
        keyspace: Keyspace,
        /// How many.
        count: usize,
    },
}

impl From<RouteError> for ClientError {
    fn from(error: RouteError) -> Self {
        let code = match &error {
            RouteError::UnknownKeyspace { .. } => Code::UnknownDatabase,
            RouteError::UnknownWorkspace { .. } => Code::UnknownWorkspace,
            RouteError::DamagedPage { .. } => Code::DirectoryDamaged,
            RouteError::UnknownCluster { .. }
            | RouteError::NoDirectory { .. }
            | RouteError::MissingShard { .. }
            | RouteError::NoShard { .. } => Code::NoShard,
            RouteError::SeveralShards { .. } | RouteError::Sharded { .. } => Code::CrossShard,
        };
        Self::new(code, error.to_string())
    }
}
