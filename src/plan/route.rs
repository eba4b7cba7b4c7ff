//! The plan: a value that says how a statement of one shape is routed.

use crate::ids::{Keyspace, WorkspaceId};

use super::{Effects, LocalAnswer};

/// How statements of one shape are run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// It may run on a replica.
    pub reads_only: bool,
    /// The session may run the statement a second time on another connection and get the same answer.
    pub repeatable: bool,
    /// Where it goes.
    pub route: Route,
    /// What it does to the session.
    pub effects: Effects,
}

/// Where statements of one shape go.
#[derive(Clone, Debug)]
pub enum Route {
    /// No table is involved.
    Any,
    /// The single database of an unsharded keyspace, text untouched.
    Unsharded(Keyspace),
    /// Any shard of the keyspace answers alike: schema questions, reference tables.
    AnyShard(Keyspace),
    /// One workspace's shard.
    Workspace(WorkspaceRoute),
    /// Every shard of the keyspace, by the explicit directive.
    AllShards(Keyspace),
    /// Bulkhead does it.
    Local(LocalAnswer),
}

/// One workspace's shard, named by sources that must agree.
#[derive(Clone, Debug)]
pub struct WorkspaceRoute {
    /// The keyspace.
    pub keyspace: Keyspace,
    /// Workspaces that the statement itself names, besides the session's pins.
    pub sources: Vec<KeySource>,
}

/// Where a value of the workspace column comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// The literal with this index in the statement's scan.
    Literal(usize),
    /// The parameter with this index, from zero.
    Parameter(usize),
    /// The name of a workspace's database in the text.
    Qualifier(WorkspaceId),
}
