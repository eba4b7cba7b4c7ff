//! Where clusters are now, and how to get in.

use std::sync::Arc;

use crate::backend::direct::Direct;
use crate::backend::{OpenError, PoolsError, client_tls};
use crate::config::{Cluster, SchemaChanges};
use crate::ids::{ClusterName, ServerId};
use crate::migrations::changes::{Source, Sources};
use crate::migrations::engine::Endpoint;
use crate::topology::SnapshotCell;

/// The clusters of the present snapshot: asked whenever a connection is opened, so that a failover is
/// followed.
pub(in crate::migrations) struct Clusters {
    snapshots: Arc<SnapshotCell>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::migrations) enum Unreached {
    #[error("no cluster {0}")]
    NoCluster(ClusterName),
    #[error(transparent)]
    Tls(#[from] PoolsError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Clusters {
    pub(in crate::migrations) fn new(snapshots: Arc<SnapshotCell>) -> Self {
        Self { snapshots }
    }

    /// A cluster as of now.
    pub(in crate::migrations) fn cluster(&self, name: &ClusterName) -> Option<Cluster> {
        self.snapshots.load().config.clusters.get(name).cloned()
    }

    /// The section `[schema_changes]` as of now.
    pub(in crate::migrations) fn settings(&self) -> SchemaChanges {
        self.snapshots.load().config.schema_changes.clone()
    }

    /// Names of all clusters.
    pub(in crate::migrations) fn names(&self) -> Vec<ClusterName> {
        self.snapshots.load().config.clusters.keys().cloned().collect()
    }

    /// The primary as of now, by the admin login.
    ///
    /// # Errors
    /// There is no such cluster; its TLS files cannot be used.
    pub(in crate::migrations) fn endpoint(&self, name: &ClusterName) -> Result<Endpoint, Unreached> {
        let snapshot = self.snapshots.load();
        let cluster = snapshot.config.clusters.get(name).ok_or_else(|| Unreached::NoCluster(name.clone()))?;
        Ok(Endpoint {
            cluster: name.clone(),
            server: cluster.primary.clone(),
            login: cluster.admin_login.clone(),
            tls: client_tls(cluster)?,
            within: snapshot.config.timeouts.connect,
        })
    }

    /// A connection to one server of a cluster, by the admin login.
    ///
    /// # Errors
    /// See [`Unreached`].
    pub(in crate::migrations) async fn open(
        &self,
        cluster: &Cluster,
        server: &ServerId,
    ) -> Result<Direct, Unreached> {
        let within = self.snapshots.load().config.timeouts.connect;
        let tls = client_tls(cluster)?;
        Ok(Direct::open(server, &cluster.admin_login, &tls, within).await?)
    }
}

impl Sources for Clusters {
    fn source(&self, cluster: &ClusterName) -> Option<Source> {
        let Endpoint { server, login, tls, .. } = self.endpoint(cluster).ok()?;
        Some(Source { server, login, tls })
    }
}
