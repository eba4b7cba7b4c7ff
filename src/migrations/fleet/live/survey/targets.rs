//! Which databases a keyspace has.

use std::collections::BTreeMap;

use crate::ids::{ClusterName, Keyspace, ShardName, WorkspaceId};
use crate::migrations::fleet::ledger::Why;
use crate::topology::{Shard, Snapshot, WorkspaceState};
use crate::vschema::{DatabasePattern, Layout};

/// One database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::migrations::fleet::live) struct Target {
    /// Its name on the server.
    pub(in crate::migrations::fleet::live) database: Box<str>,
    /// Its workspace; absent where tables are shared or the keyspace is unsharded.
    pub(in crate::migrations::fleet::live) workspace: Option<WorkspaceId>,
    /// The shard.
    pub(in crate::migrations::fleet::live) shard: ShardName,
    /// The cluster.
    pub(in crate::migrations::fleet::live) cluster: ClusterName,
}

/// The databases of a keyspace.
#[derive(Clone, Debug, Default)]
pub(in crate::migrations::fleet::live) struct Targets {
    /// Every one, by workspace.
    pub(in crate::migrations::fleet::live) all: Vec<Target>,
    /// Those that are to be left alone now, by why.
    pub(in crate::migrations::fleet::live) later: BTreeMap<&'static str, u32>,
    /// Workspaces that cannot be placed: their shard is not in the config, or their id makes no name.
    pub(in crate::migrations::fleet::live) unplaced: u32,
}

/// The databases of a keyspace, by its directory, or by its shards; `None` when there is no such keyspace.
pub(in crate::migrations::fleet::live) fn targets_of(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
) -> Option<Targets> {
    let schema = snapshot.vschema.keyspace(keyspace.as_str())?;
    if let Layout::DatabasePerWorkspace(pattern) = &schema.layout {
        return of_workspaces(snapshot, keyspace, pattern);
    }
    let target = |shard: &std::sync::Arc<Shard>| Target {
        database: keyspace.as_str().into(),
        workspace: None,
        shard: shard.name.clone(),
        cluster: shard.cluster.clone(),
    };
    let mut all: Vec<Target> = snapshot.shards(keyspace).iter().map(target).collect();
    // Several shards may share one cluster, and then its one database.
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|target| seen.insert(target.cluster.clone()));
    Some(Targets { all, ..Targets::default() })
}

fn of_workspaces(snapshot: &Snapshot, keyspace: &Keyspace, pattern: &DatabasePattern) -> Option<Targets> {
    let directory = snapshot.directory(keyspace).ok()?;
    let mut targets = Targets::default();
    let mut entries: Vec<_> = directory.entries().collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (workspace, entry) in entries {
        let shard = snapshot.shard(keyspace, entry.shard.as_str());
        let (Some(shard), Some(database)) = (shard, pattern.render(&workspace)) else {
            targets.unplaced += 1;
            continue;
        };
        let why = match entry.state {
            WorkspaceState::Moving => Some(Why::Moving),
            WorkspaceState::Suspended => Some(Why::Suspended),
            WorkspaceState::Active | WorkspaceState::ReadOnly => None,
        };
        if let Some(why) = why {
            *targets.later.entry(why.word()).or_default() += 1;
        }
        targets.all.push(Target {
            database: database.into(),
            workspace: Some(workspace),
            shard: shard.name.clone(),
            cluster: shard.cluster.clone(),
        });
    }
    for page in directory.damaged() {
        tracing::warn!(%keyspace, key = page.key, "a directory page is damaged: its workspaces are left out");
        targets.unplaced += 1;
    }
    Some(targets)
}
