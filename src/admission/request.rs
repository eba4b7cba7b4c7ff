//! A statement that asks to be admitted.

use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::drain::{Ask, Scope, Visit};
use crate::health::Class;
use crate::ids::{ClusterName, Keyspace, TableName, WorkspaceId};
use crate::memory::OWN_BYTES;
use crate::plan::Tables;
use crate::sql::SqlMode;
use crate::topology::Shard;

/// What a statement keeps in memory beside its own bytes while it waits: its session's buffers.
const BYTES_BESIDE: usize = 1 << 10;
/// A statement on its way is there as it was received and as it is sent.
const COPIES: usize = 2;

/// A statement that asks to be admitted to one cluster.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Whose permits it takes.
    pub class: Class,
    /// It writes, or belongs to a transaction that may: what gates for writes cover.
    pub may_write: bool,
    /// Its transaction is open on the cluster, or it holds table locks there: others wait for its end.
    pub is_in_transaction: bool,
    /// Its session holds a connection there; it needs no other one.
    pub has_connection: bool,
    /// It changes a schema.
    pub changes_schema: bool,
    /// It was held at a gate, and asks anew.
    pub was_held: bool,
    /// Whose it is, see [`workspace_key`].
    pub workspace: Option<u64>,
    /// The shards that it is for; none for statements that no keyspace is needed for.
    pub shards: &'a [Arc<Shard>],
    /// The tables that it names: what gates of tables go by.
    pub tables: &'a Tables,
    /// Its text, for tables that are not known.
    pub text: &'a [u8],
    /// How the text is read.
    pub mode: SqlMode,
    /// Bytes of it that stay in memory until it has ended.
    pub bytes: usize,
}

impl Request<'_> {
    /// Bytes that are held for it from the start: none of what fits its session's own buffers.
    pub(super) fn bytes_held(&self) -> usize {
        if self.bytes <= OWN_BYTES { 0 } else { self.bytes.saturating_mul(COPIES) + BYTES_BESIDE }
    }

    /// Bytes that are held for it while it waits.
    pub(super) fn bytes_waiting(&self) -> usize {
        self.bytes_held().max(self.bytes + BYTES_BESIDE)
    }

    pub(super) fn ask(&self) -> Ask {
        Ask {
            workspace: self.workspace,
            bytes: self.bytes + BYTES_BESIDE,
            is_in_transaction: self.is_in_transaction || self.has_connection,
            was_held: self.was_held,
        }
    }

    pub(super) fn visit(&self) -> Visit {
        Visit {
            is_write: self.may_write,
            is_in_transaction: self.is_in_transaction,
            bytes: self.bytes + BYTES_BESIDE,
        }
    }

    /// Says whether it may reach the workspace's database: it does not say whose it is, or it is that one's.
    fn is_of(&self, keyspace: &Keyspace, workspace: &WorkspaceId) -> bool {
        self.workspace.is_none_or(|own| workspace_key(keyspace, owner_of(workspace)) == Some(own))
    }

    fn names(&self, table: &TableName) -> bool {
        self.tables.has(table.as_str(), self.text, self.mode)
    }

    /// The gates among `closed` that it has to pass.
    pub(super) fn scopes<'g>(
        &self,
        cluster: &ClusterName,
        closed: impl Iterator<Item = &'g Scope>,
    ) -> Vec<Scope> {
        let is_for = |keyspace: &Keyspace, name: &crate::ids::ShardName| {
            self.shards.iter().any(|shard| shard.keyspace == *keyspace && shard.name == *name)
        };
        let stands_before = |scope: &&Scope| match scope {
            Scope::Cluster(name) => name == cluster,
            Scope::Shard(keyspace, shard) => is_for(keyspace, shard),
            Scope::Table(keyspace, shard, table) => is_for(keyspace, shard) && self.names(table),
            Scope::OwnTable(keyspace, shard, workspace, table) => {
                self.is_of(keyspace, workspace) && is_for(keyspace, shard) && self.names(table)
            }
        };
        closed.filter(stands_before).cloned().collect()
    }
}

/// A number for a workspace, of the keyspace or not; never 0.
pub fn owner_of(workspace: &WorkspaceId) -> u64 {
    match workspace {
        WorkspaceId::Number(number) => number.wrapping_add(1).max(1),
        WorkspaceId::Text(text) => xxh3_64(text.as_bytes()).max(1),
    }
}

/// The number by which permits know a workspace of a keyspace: two keyspaces' workspaces of one id are two.
/// `owner` is of [`owner_of`]; 0: no workspace's.
pub fn workspace_key(keyspace: &Keyspace, owner: u64) -> Option<u64> {
    (owner != 0).then(|| xxh3_64_with_seed(keyspace.as_str().as_bytes(), owner).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_workspaces_and_keyspaces_apart() {
        let (shop, crm) = (Keyspace::new("shop"), Keyspace::new("crm"));
        let one = owner_of(&WorkspaceId::Number(1));
        assert_ne!(workspace_key(&shop, one), workspace_key(&crm, one));
        assert_ne!(workspace_key(&shop, one), workspace_key(&shop, owner_of(&WorkspaceId::Number(2))));
        assert_eq!(workspace_key(&shop, 0), None);
        assert_ne!(owner_of(&WorkspaceId::Number(u64::MAX)), 0);
    }
}
