//! Reading a query's tree: which tables it uses, and what ties each of them to one workspace.
//!
//! Phases: **resolve** (every table reference becomes a `Relation` with its routing columns, [`scope`]
//! keeps what is visible where), **facts** (what a predicate says about routing columns: equal to a value,
//! equal to each other),
//! **solve** (which routing columns are bound in the end). Sound, not complete: a table counts as bound only
//! when no row of another workspace can reach the answer; what is not proven is refused by the caller.
//!
//! What proves: `=`, `<=>`, `IN` of plain values, tuples of them, OR whose arms all say so, equality of two
//! routing columns (inner joins both ways, outer joins towards the side that gives way), `USING` and
//! `NATURAL`, `IN` of a subquery that yields a routing column. What never proves: HAVING, functions, NOT,
//! ranges, anything whose precedence differs between readers (`||`, XOR, `:=`).

mod dml;
mod exprs;
mod facts;
mod insert;
mod scope;
mod select;
mod solve;
mod system;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName, Statement, Visit, Visitor};

use crate::error::Code;
use crate::ids::{KeyspaceId, WorkspaceId};
use crate::sql::{Scan, byte_span};
use crate::vschema::{ColumnVindex, DatabaseTarget, KeyspaceSchema, Layout};

use super::Refusal;
use super::names::{Names, Place, SharedKind, SystemSchema, TableRef};

pub(super) use insert::InsertRows;
pub(super) use scope::{Column, ColumnId, Slot};
pub(super) use solve::{Tie, solve};
pub(super) use system::{is_cheap, is_private};

/// Most table references of one statement, counted after CTEs are put in place of their names.
const RELATIONS_MAX: usize = 512;

/// A value that ties a routing column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Source {
    /// Literal by index.
    Literal(usize),
    /// Parameter by index.
    Parameter(usize),
    /// `DATABASE()`, `SCHEMA()`.
    CurrentDatabase,
}

/// What a whole statement uses; filled by the walk.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// The names of its tables, as written; not those of system schemas.
    pub(super) tables: Vec<String>,
    /// The keyspace of its tables.
    pub(super) keyspace: Option<Arc<KeyspaceSchema>>,
    /// Workspaces whose databases qualify names.
    pub(super) named: Vec<WorkspaceId>,
    /// Some table of a `database_per_workspace` keyspace is not qualified by a workspace's database.
    pub(super) unnamed: bool,
    /// Offsets of the keyspace's logical name where the workspace's database must stand instead.
    pub(super) logical: Vec<usize>,
    /// Some table is one that the keyspace keeps for itself.
    pub(super) own: bool,
    /// Some table is a workspace's.
    pub(super) of_workspace: bool,
    /// Keyspace ids of pinned tables.
    pub(super) pinned: Vec<KeyspaceId>,
    /// Reads or writes reference tables.
    pub(super) reference: bool,
    /// Sharded table references.
    pub(super) sharded: Vec<Sharded>,
    /// References to tables of system schemas.
    pub(super) system: Vec<SystemUse>,
    /// What is written, by kind of table.
    pub(super) writes: Written,
    /// Calls a function that is not MySQL's own: a stored function.
    pub(super) stored_function: Option<usize>,
    /// Asks a sequence for a number, or sets it.
    pub(super) sequence: bool,
    /// Calls a function of a system schema.
    pub(super) system_function: Option<usize>,
    /// Assigns the workspace column: where, and the value when it is a plain one.
    pub(super) key_changes: Vec<(usize, Option<Source>)>,
    /// More than one row source: joins, set operations, subqueries, or an aggregate, ORDER BY, LIMIT …
    pub(super) not_simple: Option<&'static str>,
}

impl Uses {
    /// Says whether it is about tables that a `database_per_workspace` keyspace keeps for itself, and about
    /// nothing else.
    pub(super) fn are_own_alone(&self) -> bool {
        let has_others = self.of_workspace || self.stored_function.is_some() || self.sequence;
        self.own && !has_others && self.named.is_empty()
    }
}

/// Which kinds of tables a statement writes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// Reference tables.
    pub(super) reference: bool,
    /// Tables of system schemas.
    pub(super) system: bool,
    /// Anything.
    pub(super) any: bool,
}

/// A sharded table reference and its routing columns.
#[derive(Clone, Debug)]
pub(super) struct Sharded {
    /// The table.
    pub(super) table: String,
    /// Where it stands.
    pub(super) at: usize,
    /// Its vindex.
    pub(super) vindex: ColumnVindex,
    /// One column for each column of the vindex.
    pub(super) columns: Vec<ColumnId>,
}

/// A reference to a table of a system schema.
#[derive(Clone, Debug)]
pub(super) struct SystemUse {
    /// The schema.
    pub(super) schema: SystemSchema,
    /// The table, lower case.
    pub(super) table: String,
    /// Where it stands.
    pub(super) at: usize,
    /// Columns that hold a database's name.
    pub(super) columns: Vec<ColumnId>,
}

/// The walk over one statement.
pub(super) struct Walk<'a> {
    pub(super) names: Names<'a>,
    pub(super) scan: &'a Scan,
    pub(super) uses: Uses,
    pub(super) columns: Vec<Column>,
    /// All of the first bound: then the second is.
    pub(super) rules: Vec<(Vec<ColumnId>, ColumnId)>,
    pub(super) constants: Vec<(ColumnId, Vec<Source>)>,
    /// The first was assumed bound: holds only if the second turns out bound.
    pub(super) obligations: Vec<(ColumnId, ColumnId)>,
    /// Columns compared with something that is no plain value, and where.
    pub(super) near_misses: Vec<(ColumnId, usize)>,
    /// Rows of an INSERT … VALUES into a sharded table.
    pub(super) insert: Option<InsertRows>,
    /// Databases written before columns, functions and targets of DELETE, and where.
    pub(super) column_databases: Vec<(String, usize)>,
    /// Where tables are written before columns.
    pub(super) column_tables: HashSet<usize>,
    /// What subqueries of expressions yield, by their place in memory.
    yields: HashMap<usize, scope::Yield>,
    /// CTEs that some name refers to, by their place in memory.
    used_ctes: HashSet<usize>,
    /// Names that relations have in FROM clauses.
    visible: HashSet<String>,
    /// Offsets of the table names that were resolved.
    seen: HashSet<usize>,
    relations: usize,
}

impl<'a> Walk<'a> {
    /// Walks a statement.
    ///
    /// # Errors
    /// Unknown names, forms that are not MySQL's, or several keyspaces.
    pub(super) fn run(names: Names<'a>, scan: &'a Scan, statement: &Statement) -> Result<Self, Refusal> {
        let mut walk = Self {
            names,
            scan,
            uses: Uses::default(),
            columns: Vec::new(),
            rules: Vec::new(),
            constants: Vec::new(),
            obligations: Vec::new(),
            near_misses: Vec::new(),
            insert: None,
            column_databases: Vec::new(),
            column_tables: HashSet::new(),
            yields: HashMap::new(),
            used_ctes: HashSet::new(),
            visible: HashSet::new(),
            seen: HashSet::new(),
            relations: 0,
        };
        walk.statement(statement, None)?;
        walk.check_all_seen(statement)?;
        walk.column_databases()?;
        Ok(walk)
    }

    /// Registers a table reference and gives its routing columns by name.
    pub(super) fn table(&mut self, table: &TableRef) -> Result<Vec<(String, ColumnId)>, Refusal> {
        self.seen.insert(table.at);
        self.count_relation(table.at)?;
        let place = self.names.place(table)?;
        if !matches!(place, Place::System(_)) {
            self.uses.tables.push(table.table.clone());
        }
        match place {
            Place::Unsharded(keyspace) => {
                self.enter(&keyspace, table.at)?;
                Ok(Vec::new())
            }
            Place::Database { keyspace, named, logical } => {
                self.enter(&keyspace, table.at)?;
                self.uses.unnamed |= named.is_none();
                self.uses.named.extend(named);
                let is_own = keyspace.is_own_table(&table.table);
                self.uses.own |= is_own;
                self.uses.of_workspace |= !is_own;
                if logical {
                    self.uses.logical.push(table.at);
                }
                Ok(Vec::new())
            }
            Place::Shared { keyspace, kind } => {
                self.enter(&keyspace, table.at)?;
                Ok(self.shared(kind, table))
            }
            Place::System(schema) => Ok(self.system(schema, table)),
        }
    }

    fn shared(&mut self, kind: SharedKind, table: &TableRef) -> Vec<(String, ColumnId)> {
        match kind {
            SharedKind::Reference => self.uses.reference = true,
            SharedKind::Pinned(id) => self.uses.pinned.push(id),
            SharedKind::Sharded(vindex) => {
                let slot = |position| Slot::Key { vindex: vindex.vindex_name.clone(), position };
                let columns: Vec<_> = (0..vindex.columns.len()).map(|at| self.column(slot(at))).collect();
                let named = vindex.columns.iter().map(|name| name.to_string()).zip(columns.iter().copied());
                let named = named.collect();
                let (at, table) = (table.at, table.table.clone());
                self.uses.sharded.push(Sharded { table, at, vindex, columns });
                return named;
            }
        }
        Vec::new()
    }

    fn system(&mut self, schema: SystemSchema, table: &TableRef) -> Vec<(String, ColumnId)> {
        let name = table.table.to_ascii_lowercase();
        let columns: Vec<(String, ColumnId)> = system::schema_columns(schema, &name)
            .iter()
            .map(|column| ((*column).to_owned(), self.column(Slot::Schema)))
            .collect();
        let ids = columns.iter().map(|(_, id)| *id).collect();
        self.uses.system.push(SystemUse { schema, table: name, at: table.at, columns: ids });
        columns
    }

    /// A new routing column.
    pub(super) fn column(&mut self, slot: Slot) -> ColumnId {
        self.columns.push(Column { slot });
        ColumnId(self.columns.len() - 1)
    }

    pub(super) fn slot(&self, column: ColumnId) -> &Slot {
        &self.columns[column.0].slot
    }

    /// Says whether some FROM clause has a relation of that name, in any case.
    pub(super) fn is_visible_name(&self, name: &str) -> bool {
        self.visible.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Says whether the name at the offset was resolved.
    pub(super) fn was_seen(&self, at: usize) -> bool {
        self.seen.contains(&at)
    }

    /// Enters the keyspace of a name that the tree does not show.
    pub(super) fn enter_keyspace(
        &mut self,
        keyspace: &Arc<KeyspaceSchema>,
        at: usize,
    ) -> Result<(), Refusal> {
        self.enter(keyspace, at)
    }

    fn enter(&mut self, keyspace: &Arc<KeyspaceSchema>, at: usize) -> Result<(), Refusal> {
        match &self.uses.keyspace {
            Some(entered) if entered.name != keyspace.name => {
                let detail = format!("`{}` and `{}`", entered.name, keyspace.name);
                Err(Refusal::because(Code::CrossKeyspace, detail).at(at))
            }
            _ => {
                self.uses.keyspace = Some(Arc::clone(keyspace));
                Ok(())
            }
        }
    }

    fn count_relation(&mut self, at: usize) -> Result<(), Refusal> {
        self.relations += 1;
        if self.relations > RELATIONS_MAX {
            let detail = format!("more than {RELATIONS_MAX} table references");
            return Err(Refusal::because(Code::StatementTooComplex, detail).at(at));
        }
        Ok(())
    }

    /// Databases before `table.column`: the keyspace's logical name is to be replaced there too.
    fn column_databases(&mut self) -> Result<(), Refusal> {
        for (database, at) in std::mem::take(&mut self.column_databases) {
            self.seen.insert(at);
            if SystemSchema::of(&database).is_some() {
                continue;
            }
            match self.names.vschema.resolve_database(&database) {
                Some(DatabaseTarget::Keyspace(keyspace)) => {
                    self.enter(&keyspace, at)?;
                    if matches!(keyspace.layout, Layout::DatabasePerWorkspace(_)) {
                        self.uses.logical.push(at);
                    }
                }
                Some(DatabaseTarget::Workspace(keyspace, workspace)) => {
                    self.enter(&keyspace, at)?;
                    self.uses.named.push(workspace);
                }
                None => return Err(super::names::unknown_database(&database).at(at)),
            }
        }
        Ok(())
    }

    /// A table reference that the walk did not meet would not be guarded: refused.
    fn check_all_seen(&self, statement: &Statement) -> Result<(), Refusal> {
        let mut check = SeenCheck { seen: &self.seen };
        match statement.visit(&mut check) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(at) => Err(unread("a table reference in an unknown place", at)),
        }
    }
}

struct SeenCheck<'w> {
    seen: &'w HashSet<usize>,
}

impl Visitor for SeenCheck<'_> {
    type Break = usize;

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<usize> {
        let at = table_ref(relation).map_or(usize::MAX, |table| table.at);
        if self.seen.contains(&at) { ControlFlow::Continue(()) } else { ControlFlow::Break(at) }
    }
}

/// A refusal to route what is not understood.
pub(super) fn unread(what: &str, at: usize) -> Refusal {
    Refusal::because(Code::UnreadStatement, what.to_owned()).at(at)
}

/// The text of an identifier; the reader has undone its quoting.
pub(super) fn ident_text(ident: &Ident) -> String {
    ident.value.clone()
}

/// Byte offset of an identifier.
pub(super) fn ident_at(ident: &Ident) -> usize {
    offset_of(ident.span)
}

/// Byte offset of a node; `usize::MAX`, where no token stands, for nodes without a place.
pub(super) fn offset_of(span: sqlparser::tokenizer::Span) -> usize {
    byte_span(span).map_or(usize::MAX, |span| span.start as usize)
}

/// The identifiers of a dotted name.
pub(super) fn idents(name: &ObjectName) -> Option<Vec<&Ident>> {
    name.0.iter().map(|part| part.as_ident()).collect()
}

/// A table's name; `None` for forms that are not MySQL's.
pub(super) fn table_ref(name: &ObjectName) -> Option<TableRef> {
    match idents(name)?.as_slice() {
        [table] => Some(TableRef { database: None, table: ident_text(table), at: ident_at(table) }),
        [database, table] => Some(TableRef {
            database: Some(ident_text(database)),
            table: ident_text(table),
            at: ident_at(database),
        }),
        _ => None,
    }
}
