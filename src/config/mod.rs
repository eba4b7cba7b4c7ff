//! The main config file: text → checked, immutable [`Config`].
//!
//! Owns the file formats (one spanned document tree for TOML and JSON, one decoder that collects all faults)
//! and the config's meaning. Reads only what the files name: the file itself, password files, environment
//! variables. Does not know the vschema: `vschema::load` reads both and checks them against each other.

mod access;
pub(crate) mod decode;
pub(crate) mod document;
mod failover;
mod fault;
mod fleet;
pub(crate) mod keys;
mod ladder;
pub(crate) mod load;
mod secrets;
mod settings;
pub(crate) mod suggest;
mod units;

pub use access::{Access, AuthPlugin, CachingSha2Hash, Password, Reads, User, parse_password_hash};
pub use failover::{Failover, FailoverMode};
pub(crate) use fault::Place;
pub use fault::{Excerpt, Fault, Severity};
pub use fleet::{
    Cluster, ClusterTls, KeyspaceTopology, Login, PermitSettings, PoolLimits, ShardPlace, TlsMode,
};
pub(crate) use ladder::RUNGS;
pub use ladder::{AlertCommand, Alerts, LadderPolicy, RungMode, Rungs, WebAddress, Webhook};
pub use settings::{
    Admin, FleetChanges, HealthChecks, Listen, ListenTls, Log, LogFormat, Routing, SchemaChanges, Store,
    ThrottleBounds, Timeouts, WorkspaceDefaults,
};
pub(crate) use units::parse_duration;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ids::{ClusterName, Keyspace, UserName};

/// The whole main config file, checked, with defaults filled in and paths made relative to the file resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Directory of the vschema files.
    pub vschema_dir: PathBuf,
    /// Where clients connect.
    pub listen: Listen,
    /// Where operators connect.
    pub admin: Admin,
    /// Where states are kept.
    pub store: Store,
    /// What is logged.
    pub log: Log,
    /// How the workspace is told.
    pub routing: Routing,
    /// Bounds in time.
    pub timeouts: Timeouts,
    /// How the health of clusters is told.
    pub health: HealthChecks,
    /// What the ladder may do by itself.
    pub ladder: LadderPolicy,
    /// Who is told.
    pub alerts: Alerts,
    /// How tables are changed online.
    pub schema_changes: SchemaChanges,
    /// What one workspace may use of a cluster.
    pub limits: WorkspaceDefaults,
    /// Who may log in.
    pub users: BTreeMap<UserName, User>,
    /// MySQL replication groups.
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// Where the shards of each keyspace live.
    pub keyspaces: BTreeMap<Keyspace, KeyspaceTopology>,
}
