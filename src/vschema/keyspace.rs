//! A keyspace's layout and tables.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Rungs;
use crate::ids::{Keyspace, KeyspaceId, TableName, WorkspaceId};

use super::pattern::DatabasePattern;
use super::value::Value;
use super::vindexes::{Mapped, Vindex, VindexError};

/// How a keyspace's data is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One database on one cluster.
    Unsharded,
    /// Tables carry the workspace column; shards are ranges of keyspace ids.
    SharedTables,
    /// Every workspace has its own database.
    DatabasePerWorkspace(DatabasePattern),
}

impl Layout {
    /// Name as in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unsharded => "unsharded",
            Self::SharedTables => "shared_tables",
            Self::DatabasePerWorkspace(_) => "database_per_workspace",
        }
    }
}

/// A column list and the vindex that maps it.
#[derive(Clone, Debug)]
pub struct ColumnVindex {
    /// Columns in the vindex's order, as written in the file; compared without case, as MySQL does.
    pub columns: Vec<Box<str>>,
    /// Name of the vindex in the keyspace.
    pub vindex_name: Box<str>,
    /// The vindex.
    pub vindex: Arc<Vindex>,
    /// Which of `columns` is the workspace's; `None` when none is.
    pub workspace_at: Option<usize>,
}

impl ColumnVindex {
    /// Maps values of the columns (fewer than all of them for a prefix).
    ///
    /// # Errors
    /// As [`Vindex::map`].
    pub fn map(&self, values: &[Value<'_>]) -> Result<Mapped, VindexError> {
        self.vindex.map(values)
    }

    /// The workspace that these values of the columns name.
    pub fn workspace_of(&self, values: &[Value<'_>]) -> Option<WorkspaceId> {
        values.get(self.workspace_at?)?.to_workspace()
    }

    /// The place of `column` among the columns.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))
    }
}

/// What a table is to routing.
#[derive(Clone, Debug)]
pub enum TableKind {
    /// Rows are spread by vindex.
    Sharded {
        /// The first one routes; the others narrow.
        column_vindexes: Vec<ColumnVindex>,
    },
    /// The same rows on every shard.
    Reference {
        /// Where the rows come from (`keyspace.table`), if they are copied.
        source: Option<(Keyspace, TableName)>,
    },
    /// A Vitess sequence; not usable through Bulkhead.
    Sequence,
    /// The whole table lives on the shard of this keyspace id.
    Pinned(KeyspaceId),
    /// A table of an unsharded or `database_per_workspace` keyspace.
    Unsharded,
}

/// A table of the vschema.
#[derive(Clone, Debug)]
pub struct Table {
    /// Name.
    pub name: TableName,
    /// What it is to routing.
    pub kind: TableKind,
    /// Columns the file names, in the file's order.
    pub columns: Vec<Box<str>>,
    /// `columns` is the whole list, in the table's order.
    pub column_list_authoritative: bool,
}

impl Table {
    /// The vindex that routes; `None` for a table that is not sharded.
    pub fn primary_vindex(&self) -> Option<&ColumnVindex> {
        match &self.kind {
            TableKind::Sharded { column_vindexes } => column_vindexes.first(),
            _ => None,
        }
    }
}

/// Foreign keys between tables of a keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeyMode {
    /// MySQL looks after them.
    Unmanaged,
    /// DDL with foreign keys is refused.
    Disallow,
}

/// Where Rails writes down which migrations have run.
const OWN_TABLES: [&str; 2] = ["schema_migrations", "ar_internal_metadata"];

/// One keyspace of the vschema.
#[derive(Clone, Debug)]
pub struct KeyspaceSchema {
    /// Name.
    pub name: Keyspace,
    /// File it was read from.
    pub file: PathBuf,
    /// Layout.
    pub layout: Layout,
    /// Column that holds the workspace id in tables that do not say otherwise.
    pub workspace_column: Option<Box<str>>,
    /// Statements may only name tables of the vschema.
    pub require_known_tables: bool,
    /// Unqualified names in other keyspaces never resolve to tables of this one.
    pub require_explicit_routing: bool,
    /// Foreign keys.
    pub foreign_key_mode: ForeignKeyMode,
    /// SQL file that creates a new workspace's tables.
    pub template: Option<PathBuf>,
    /// No rung of the ladder is more than this on clusters that have its shards.
    pub ladder: Rungs,
    pub(crate) vindexes: HashMap<Box<str>, Arc<Vindex>>,
    pub(crate) default_vindex: Option<ColumnVindex>,
    pub(crate) tables: HashMap<TableName, Arc<Table>>,
}

impl KeyspaceSchema {
    /// A table by its exact name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// All tables, in no order.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// A vindex by its name.
    pub fn vindex(&self, name: &str) -> Option<&Arc<Vindex>> {
        self.vindexes.get(name)
    }

    /// All vindexes with their names, in no order.
    pub fn vindexes(&self) -> impl Iterator<Item = (&str, &Arc<Vindex>)> {
        self.vindexes.iter().map(|(name, vindex)| (&**name, vindex))
    }

    /// What routes tables that the file does not name (`shared_tables` without `require_known_tables`), and
    /// the keyspace's workspaces themselves.
    pub fn default_vindex(&self) -> Option<&ColumnVindex> {
        self.default_vindex.as_ref()
    }

    /// Says whether a table belongs to the keyspace itself and to no workspace: where databases are
    /// workspaces', it is in a database of the keyspace's own name. Not while a workspace is pinned: its
    /// database may have a table of that name too.
    pub fn is_own_table(&self, name: &str) -> bool {
        OWN_TABLES.contains(&name)
    }

    /// Says whether workspaces are found in the directory.
    pub fn uses_directory(&self) -> bool {
        matches!(self.layout, Layout::DatabasePerWorkspace(_))
            || self.vindexes.values().any(|vindex| vindex.is_directory())
    }

    /// Where a workspace's rows live, if the keyspace has one way to tell.
    ///
    /// # Errors
    /// The workspace id cannot be mapped by the default vindex, or the keyspace has none.
    pub fn map_workspace(&self, workspace: &WorkspaceId) -> Result<Mapped, VindexError> {
        match (&self.layout, &self.default_vindex) {
            (Layout::DatabasePerWorkspace(_), _) => Ok(Mapped::Directory(workspace.clone())),
            (_, Some(by)) if by.columns.len() == 1 => by.map(&[Value::of_workspace(workspace)]),
            _ => Err(VindexError::NoWorkspaceVindex),
        }
    }
}
