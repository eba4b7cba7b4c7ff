//! What is sharded by what: keyspaces, layouts, tables, vindexes.
//!
//! Pure once loaded: a [`Vschema`] is an immutable value; a vindex is a total function of its values. Does
//! not know where shards live (that is `topology`), and never asks a server.

mod build;
pub mod check;
mod keyspace;
mod load;
mod native;
mod pattern;
pub mod reference;
mod value;
pub mod vindexes;
mod vitess;

pub use keyspace::{ColumnVindex, ForeignKeyMode, KeyspaceSchema, Layout, Table, TableKind};
pub use load::{Loaded, load, parse_vschema};
pub use pattern::DatabasePattern;
pub use value::Value;
pub use vindexes::{Mapped, Vindex, VindexError};

use std::sync::Arc;

use crate::ids::{Keyspace, NameMap, WorkspaceId};

/// Every keyspace.
#[derive(Clone, Debug, Default)]
pub struct Vschema {
    keyspaces: NameMap<Keyspace, Arc<KeyspaceSchema>>,
    patterned: Vec<Arc<KeyspaceSchema>>,
}

/// What a database name means.
#[derive(Clone, Debug)]
pub enum DatabaseTarget {
    /// A keyspace, no workspace pinned.
    Keyspace(Arc<KeyspaceSchema>),
    /// The database of one workspace.
    Workspace(Arc<KeyspaceSchema>, WorkspaceId),
}

impl Vschema {
    /// Takes checked keyspaces; of two with one name the last stays.
    pub fn new(keyspaces: impl IntoIterator<Item = KeyspaceSchema>) -> Self {
        let keyspaces: NameMap<_, _> =
            keyspaces.into_iter().map(|ks| (ks.name.clone(), Arc::new(ks))).collect();
        let is_patterned = |ks: &&Arc<KeyspaceSchema>| matches!(ks.layout, Layout::DatabasePerWorkspace(_));
        let mut patterned: Vec<_> = keyspaces.values().filter(is_patterned).cloned().collect();
        patterned.sort_by(|a, b| a.name.cmp(&b.name));
        Self { keyspaces, patterned }
    }

    /// All keyspaces, in no order.
    pub fn keyspaces(&self) -> impl Iterator<Item = &Arc<KeyspaceSchema>> {
        self.keyspaces.values()
    }

    /// A keyspace by name.
    pub fn keyspace(&self, name: &str) -> Option<&Arc<KeyspaceSchema>> {
        self.keyspaces.get(name)
    }

    /// What a database name means: a keyspace of that name, else the workspace whose database it is.
    ///
    /// Costs one comparison for each `database_per_workspace` keyspace, nothing for each workspace.
    pub fn resolve_database(&self, database: &str) -> Option<DatabaseTarget> {
        if let Some(keyspace) = self.keyspaces.get(database) {
            return Some(DatabaseTarget::Keyspace(Arc::clone(keyspace)));
        }
        self.patterned.iter().find_map(|keyspace| match &keyspace.layout {
            Layout::DatabasePerWorkspace(pattern) => {
                let workspace = pattern.match_database(database)?;
                Some(DatabaseTarget::Workspace(Arc::clone(keyspace), workspace))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
