//! `SHOW VSCHEMA [<keyspace>]`.

use super::super::context::AdminContext;
use super::super::table::{AdminAnswer, AdminTable, AdminValue, ColumnKind};
use super::super::words::Words;
use super::tail;
use crate::error::{ClientError, Code};
use crate::vschema::{ColumnVindex, KeyspaceSchema, Layout, Table, TableKind, Vschema};

/// Keyspaces, or the tables of one.
pub(super) fn vschema(words: &mut Words<'_>, context: &AdminContext) -> Result<AdminAnswer, ClientError> {
    let snapshot = context.snapshots.load();
    let is_tail = ["WHERE", "ORDER", "LIMIT"].iter().any(|word| words.is_next(word));
    let table = if words.is_done() || is_tail {
        keyspaces(&snapshot.vschema)
    } else {
        let name = words.name("a keyspace")?;
        let unknown =
            || ClientError::new(Code::AdminNotFound, format!("no keyspace {name:?} in the vschema"));
        tables(snapshot.vschema.keyspace(&name).ok_or_else(unknown)?)
    };
    tail::apply(words, table).map(AdminAnswer::Rows)
}

fn keyspaces(vschema: &Vschema) -> AdminTable {
    use ColumnKind::{Number, Text};
    let mut table = AdminTable::new([
        ("keyspace", Text),
        ("layout", Text),
        ("database", Text),
        ("workspace_column", Text),
        ("workspace_vindex", Text),
        ("require_known_tables", Text),
        ("tables", Number),
        ("file", Text),
    ]);
    let mut schemas: Vec<_> = vschema.keyspaces().collect();
    schemas.sort_by(|a, b| a.name.cmp(&b.name));
    for schema in schemas {
        let database = match &schema.layout {
            Layout::DatabasePerWorkspace(pattern) => pattern.to_string(),
            Layout::Unsharded | Layout::SharedTables => schema.name.to_string(),
        };
        table.push([
            AdminValue::text(&schema.name),
            schema.layout.name().into(),
            database.into(),
            AdminValue::optional(schema.workspace_column.as_ref()),
            AdminValue::optional(schema.default_vindex().map(|by| &by.vindex_name)),
            if schema.require_known_tables { "yes" } else { "no" }.into(),
            schema.tables().count().into(),
            AdminValue::text(schema.file.display()),
        ]);
    }
    table
}

fn tables(schema: &KeyspaceSchema) -> AdminTable {
    use ColumnKind::Text;
    let mut table =
        AdminTable::new([("table", Text), ("kind", Text), ("routed_by", Text), ("vindex_type", Text)]);
    let mut tables: Vec<_> = schema.tables().collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    for each in tables {
        let by = each.primary_vindex();
        table.push([
            AdminValue::text(&each.name),
            kind_of(each).into(),
            AdminValue::optional(by.map(call_of)),
            AdminValue::optional(by.map(|by| by.vindex.type_name())),
        ]);
    }
    table
}

fn kind_of(table: &Table) -> &'static str {
    match &table.kind {
        TableKind::Sharded { .. } => "sharded",
        TableKind::Reference { .. } => "reference",
        TableKind::Sequence => "sequence",
        TableKind::Pinned(_) => "pinned",
        TableKind::Unsharded => "unsharded",
    }
}

fn call_of(by: &ColumnVindex) -> String {
    format!("{}({})", by.vindex_name, by.columns.join(", "))
}
