//! Clusters and where the shards of each keyspace live.

use std::path::PathBuf;
use std::time::Duration;

use crate::ids::{ClusterName, KeyRange, Keyspace, ServerId, ShardName};
use crate::redact::Secret;

/// Login of Bulkhead at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: Box<str>,
    /// Password; may be empty.
    pub password: Secret,
}

/// How Bulkhead uses TLS towards a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// If the server offers it.
    Preferred,
    /// Always; the certificate is not looked at.
    Required,
    /// Always; the certificate must come from `ca`.
    VerifyCa,
    /// Always; and it must be for the server's host name.
    VerifyIdentity,
}

/// TLS towards a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterTls {
    /// Mode.
    pub mode: TlsMode,
    /// PEM file with the authority; `None`: the well-known ones.
    pub ca: Option<PathBuf>,
    /// PEM file with Bulkhead's own certificate, if the servers ask for one.
    pub certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub key: Option<PathBuf>,
}

/// Bounds of the pools of a cluster, each per role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Server connections.
    pub max_connections: u32,
    /// Server connections being opened at the same time.
    pub opening_at_once: u32,
    /// Statements that may wait for a connection.
    pub waiters: u32,
    /// An unused connection is closed after this; zero: never.
    pub idle: Duration,
    /// A connection is replaced after this; zero: never.
    pub lifetime: Duration,
}

/// One MySQL replication group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Name.
    pub name: ClusterName,
    /// The server that takes writes.
    pub primary: ServerId,
    /// The servers that follow it.
    pub replicas: Vec<ServerId>,
    /// Login for clients' statements.
    pub login: Login,
    /// Login for KILL and probes; the same unless configured.
    pub admin_login: Login,
    /// TLS towards the servers.
    pub tls: ClusterTls,
    /// Bounds of the pools.
    pub pool: PoolLimits,
}

/// Where the shards of a keyspace live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceTopology {
    /// Name.
    pub name: Keyspace,
    /// Shards, in the order of their names (of their ranges, if they are ranges).
    pub shards: Vec<ShardPlace>,
    /// Replica reads wait for the session's own writes.
    pub reads_after_writes: bool,
}

/// One shard and its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlace {
    /// Name; a key range for `shared_tables`.
    pub name: ShardName,
    /// The name read as a key range; has a meaning for `shared_tables` only.
    pub range: Option<KeyRange>,
    /// Cluster it lives on.
    pub cluster: ClusterName,
    /// Share of new workspaces placed here; 0: none.
    pub weight: u32,
}
