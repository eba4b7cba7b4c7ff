//! What the names of databases and tables mean to routing.

use std::sync::Arc;

use crate::error::Code;
use crate::ids::{KeyspaceId, WorkspaceId};
use crate::vschema::{ColumnVindex, DatabaseTarget, KeyspaceSchema, Layout, TableKind, Vschema};

use super::{Refusal, TargetShape};

/// A schema that every server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SystemSchema {
    /// `information_schema`.
    Information,
    /// `performance_schema`.
    Performance,
    /// `mysql`.
    Mysql,
    /// `sys`.
    Sys,
}

impl SystemSchema {
    /// The system schema of that name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        const NAMES: [(&str, SystemSchema); 4] = [
            ("information_schema", SystemSchema::Information),
            ("performance_schema", SystemSchema::Performance),
            ("mysql", SystemSchema::Mysql),
            ("sys", SystemSchema::Sys),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, schema)| *schema)
    }
}

/// A table's name as the statement writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableRef {
    /// The database, when written.
    pub(crate) database: Option<String>,
    /// The table.
    pub(crate) table: String,
    /// Byte offset of the first part.
    pub(crate) at: usize,
}

/// Where a table lives.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In an unsharded keyspace.
    Unsharded(Arc<KeyspaceSchema>),
    /// In a workspace's database: the session's, or the one that the text names.
    Database {
        /// The keyspace.
        keyspace: Arc<KeyspaceSchema>,
        /// The workspace whose database qualifies the name.
        named: Option<WorkspaceId>,
        /// The keyspace's logical name qualifies the name: to be replaced by the workspace's database.
        logical: bool,
    },
    /// In a `shared_tables` keyspace.
    Shared {
        /// The keyspace.
        keyspace: Arc<KeyspaceSchema>,
        /// What the table is there.
        kind: SharedKind,
    },
    /// In a system schema.
    System(SystemSchema),
}

/// What a table of a `shared_tables` keyspace is.
#[derive(Clone, Debug)]
pub(crate) enum SharedKind {
    /// Rows are spread by vindex.
    Sharded(ColumnVindex),
    /// The same rows on every shard.
    Reference,
    /// On one shard.
    Pinned(KeyspaceId),
}

/// Resolves names for one statement.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The vschema.
    pub(crate) vschema: &'a Vschema,
    /// The session's target.
    pub(crate) target: &'a TargetShape,
}

impl<'a> Names<'a> {
    /// The session's keyspace.
    pub(crate) fn session_keyspace(&self) -> Option<&'a Arc<KeyspaceSchema>> {
        self.target.keyspace.as_ref().and_then(|keyspace| self.vschema.keyspace(keyspace.as_str()))
    }

    /// Where a table lives.
    ///
    /// # Errors
    /// No database is selected, the database or table is not known, or the table is a Vitess sequence.
    pub(crate) fn place(&self, table: &TableRef) -> Result<Place, Refusal> {
        let Some(database) = &table.database else {
            let keyspace =
                self.session_keyspace().ok_or_else(|| Refusal::new(Code::NoDatabaseSelected).at(table.at))?;
            return place_in(keyspace, None, false, table);
        };
        if let Some(schema) = SystemSchema::of(database) {
            return Ok(Place::System(schema));
        }
        match self.vschema.resolve_database(database) {
            Some(DatabaseTarget::Keyspace(keyspace)) => place_in(&keyspace, None, true, table),
            Some(DatabaseTarget::Workspace(keyspace, workspace)) => {
                place_in(&keyspace, Some(workspace), false, table)
            }
            None => Err(unknown_database(database).at(table.at)),
        }
    }
}

impl Names<'_> {
    /// The table's columns in its order, where the vschema has the whole list; else none.
    pub(crate) fn listed_columns(&self, table: &TableRef) -> Vec<String> {
        let keyspace = match &table.database {
            None => self.session_keyspace().cloned(),
            Some(database) => match self.vschema.resolve_database(database) {
                Some(DatabaseTarget::Keyspace(keyspace)) => Some(keyspace),
                _ => None,
            },
        };
        let Some(keyspace) = keyspace else { return Vec::new() };
        let known = keyspace.table(&table.table).filter(|known| known.column_list_authoritative);
        known.map(|known| known.columns.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }
}

/// MySQL's answer to a database that is not there.
pub(crate) fn unknown_database(database: &str) -> Refusal {
    Refusal::because(Code::UnknownDatabase, format!("Unknown database '{database}'"))
}

fn place_in(
    keyspace: &Arc<KeyspaceSchema>,
    named: Option<WorkspaceId>,
    qualified: bool,
    table: &TableRef,
) -> Result<Place, Refusal> {
    let keyspace = Arc::clone(keyspace);
    match &keyspace.layout {
        Layout::Unsharded => {
            known_table(&keyspace, table)?;
            Ok(Place::Unsharded(keyspace))
        }
        Layout::DatabasePerWorkspace(_) => {
            known_table(&keyspace, table)?;
            let logical = qualified && named.is_none();
            Ok(Place::Database { keyspace, named, logical })
        }
        Layout::SharedTables => {
            let kind = shared_kind(&keyspace, table)?;
            Ok(Place::Shared { keyspace, kind })
        }
    }
}

fn unknown_table(keyspace: &KeyspaceSchema, table: &TableRef) -> Refusal {
    let detail = format!("Table '{}.{}' doesn't exist in the vschema", keyspace.name, table.table);
    Refusal::because(Code::UnknownTable, detail).at(table.at)
}

fn known_table(keyspace: &KeyspaceSchema, table: &TableRef) -> Result<(), Refusal> {
    if keyspace.require_known_tables && keyspace.table(&table.table).is_none() {
        return Err(unknown_table(keyspace, table));
    }
    Ok(())
}

fn shared_kind(keyspace: &KeyspaceSchema, table: &TableRef) -> Result<SharedKind, Refusal> {
    let Some(known) = keyspace.table(&table.table) else {
        return match keyspace.default_vindex() {
            Some(vindex) if !keyspace.require_known_tables => Ok(SharedKind::Sharded(vindex.clone())),
            _ => Err(unknown_table(keyspace, table)),
        };
    };
    match &known.kind {
        TableKind::Sharded { column_vindexes } => match column_vindexes.first() {
            Some(vindex) => Ok(SharedKind::Sharded(vindex.clone())),
            None => Err(unknown_table(keyspace, table)),
        },
        TableKind::Reference { .. } => Ok(SharedKind::Reference),
        TableKind::Pinned(id) => Ok(SharedKind::Pinned(id.clone())),
        TableKind::Sequence | TableKind::Unsharded => {
            let detail = format!("`{}` is a sequence", table.table);
            Err(Refusal::because(Code::NotSupported, detail).at(table.at))
        }
    }
}
