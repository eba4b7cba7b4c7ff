//! The pointer to the current snapshot, and what a swap changed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};

use super::Snapshot;
use crate::ids::Generation;
use crate::vschema::{KeyspaceSchema, TableKind};

/// Holds the current snapshot; readers take no lock.
pub struct SnapshotCell {
    current: ArcSwap<Snapshot>,
    /// Held from reading the last generation to publishing the next.
    swapping: Mutex<()>,
}

impl SnapshotCell {
    /// Publishes the first snapshot, as generation 1.
    pub fn new(mut first: Snapshot) -> Self {
        first.generation = Generation(1);
        Self { current: ArcSwap::from_pointee(first), swapping: Mutex::new(()) }
    }

    /// The current snapshot for a short look; cheapest.
    pub fn peek(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// The current snapshot, to hold as long as a statement or transaction lasts.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Publishes the next generation, and says what it changes. Who holds the old one keeps it.
    pub fn swap(&self, mut next: Snapshot) -> SnapshotChanges {
        let _swapping = self.swapping.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let last = self.current.load_full();
        next.generation = Generation(last.generation.0 + 1);
        let changes = SnapshotChanges::between(&last, &next);
        self.current.store(Arc::new(next));
        changes
    }
}

impl fmt::Debug for SnapshotCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotCell").field("generation", &self.peek().generation).finish()
    }
}

/// Names that came, went or mean something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Only in the new snapshot.
    pub added: Vec<String>,
    /// Only in the old one.
    pub removed: Vec<String>,
    /// In both, with other contents.
    pub changed: Vec<String>,
}

/// What a swap changed, for logs and the admin endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotChanges {
    /// The new generation.
    pub generation: Generation,
    /// Clusters: servers, logins, TLS, pools.
    pub clusters: Changed,
    /// Keyspaces: layout, tables, vindexes.
    pub keyspaces: Changed,
    /// Shards, as `keyspace/shard`: cluster, weight.
    pub shards: Changed,
    /// Users: passwords, rights, limits.
    pub users: Changed,
}

impl SnapshotChanges {
    /// Compares two snapshots.
    pub fn between(old: &Snapshot, new: &Snapshot) -> Self {
        let (before, after) = (&old.config, &new.config);
        Self {
            generation: new.generation,
            clusters: Changed::between(
                before.clusters.keys().map(ToString::to_string).collect(),
                after.clusters.keys().map(ToString::to_string).collect(),
                |name| before.clusters.get(name) == after.clusters.get(name),
            ),
            keyspaces: Changed::between(keyspace_names(old), keyspace_names(new), |name| {
                is_same_schema(old, new, name)
            }),
            shards: Changed::between(shard_names(old), shard_names(new), |name| {
                find_shard(old, name) == find_shard(new, name)
            }),
            users: Changed::between(
                before.users.keys().map(ToString::to_string).collect(),
                after.users.keys().map(ToString::to_string).collect(),
                |name| before.users.get(name) == after.users.get(name),
            ),
        }
    }

    /// Each kind of thing with its changes.
    pub fn kinds(&self) -> [(&'static str, &Changed); 4] {
        [
            ("clusters", &self.clusters),
            ("keyspaces", &self.keyspaces),
            ("shards", &self.shards),
            ("users", &self.users),
        ]
    }
}

impl fmt::Display for SnapshotChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}", self.generation)?;
        for (kind, changed) in self.kinds() {
            let lists =
                [("added", &changed.added), ("removed", &changed.removed), ("changed", &changed.changed)];
            for (verb, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
                write!(f, "; {kind} {verb}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Changed {
    fn between(old: BTreeSet<String>, new: BTreeSet<String>, is_same: impl Fn(&str) -> bool) -> Self {
        Self {
            added: new.difference(&old).cloned().collect(),
            removed: old.difference(&new).cloned().collect(),
            changed: old.intersection(&new).filter(|name| !is_same(name)).cloned().collect(),
        }
    }

    /// Says whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

fn keyspace_names(snapshot: &Snapshot) -> BTreeSet<String> {
    snapshot.vschema.keyspaces().map(|schema| schema.name.to_string()).collect()
}

fn is_same_schema(old: &Snapshot, new: &Snapshot, name: &str) -> bool {
    let said = |snapshot: &Snapshot| snapshot.vschema.keyspace(name).map(|schema| schema_facts(schema));
    said(old) == said(new)
}

/// Everything a schema says, in an order of its own; rarely made, so printed forms do.
fn schema_facts(schema: &KeyspaceSchema) -> BTreeSet<String> {
    let tables = schema.tables().map(|table| {
        let kind = match &table.kind {
            TableKind::Sharded { column_vindexes } => column_vindexes
                .iter()
                .map(|by| format!("{:?} by {} {:?}", by.columns, by.vindex_name, by.workspace_at))
                .collect::<Vec<_>>()
                .join(", "),
            other => format!("{other:?}"),
        };
        format!("table {} {kind} {:?} {:?}", table.name, table.columns, table.column_list_authoritative)
    });
    let vindexes = schema
        .vindexes()
        .map(|(name, vindex)| format!("vindex {name} {} {:?}", vindex.type_name(), vindex.params()));
    let rest = format!(
        "{:?} {:?} {} {} {:?} {:?}",
        schema.layout,
        schema.workspace_column,
        schema.require_known_tables,
        schema.require_explicit_routing,
        schema.foreign_key_mode,
        schema.template
    );
    tables.chain(vindexes).chain([rest]).collect()
}

fn shard_names(snapshot: &Snapshot) -> BTreeSet<String> {
    let shards = snapshot.keyspaces().flat_map(|keyspace| snapshot.shards(keyspace));
    shards.map(|shard| format!("{}/{}", shard.keyspace, shard.name)).collect()
}

fn find_shard<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a super::Shard> {
    let (keyspace, shard) = name.split_once('/')?;
    let keyspace = snapshot.keyspaces().find(|known| known.as_str() == keyspace)?;
    snapshot.shard(keyspace, shard).map(|shard| &**shard)
}
