//! `SHOW WORKSPACE` and `SHOW WORKSPACES`.

use super::super::commands::{take_state, take_workspace};
use super::super::context::AdminContext;
use super::super::table::{AdminAnswer, AdminTable, AdminValue, ColumnKind};
use super::super::words::Words;
use crate::error::ClientError;
use crate::ids::{Keyspace, ShardName, WorkspaceId};
use crate::topology::{Entry, LIST_ROWS_MAX, ListFilter, Snapshot};
use crate::vschema::Layout;

/// Rows of a list that names no limit.
const LIST_ROWS_DEFAULT: usize = 1000;

/// `SHOW WORKSPACE <keyspace> <id>`.
pub(super) fn one(words: &mut Words<'_>, context: &AdminContext) -> Result<AdminAnswer, ClientError> {
    let (keyspace, workspace) = take_workspace(words)?;
    words.end()?;
    let entry = context.workspaces.show(&keyspace, &workspace)?;
    let mut table = empty();
    table.push(row(&context.snapshots.load(), &keyspace, &workspace, &entry));
    Ok(AdminAnswer::Rows(table))
}

/// `SHOW WORKSPACES <keyspace> [ON <shard>] [STATE <state>] [AFTER <id>] [LIMIT <n>]`.
pub(super) fn list(words: &mut Words<'_>, context: &AdminContext) -> Result<AdminAnswer, ClientError> {
    let keyspace = Keyspace::new(words.name("a keyspace")?);
    let mut filter = ListFilter { limit: LIST_ROWS_DEFAULT, ..ListFilter::default() };
    while !words.is_done() {
        if words.take("ON") {
            filter.shard = Some(ShardName::new(words.name("a shard")?));
        } else if words.take("STATE") {
            filter.state = Some(take_state(words)?);
        } else if words.take("AFTER") {
            let wrong = words.expected("a workspace id");
            filter.after = Some(WorkspaceId::parse(&words.name("a workspace id")?).ok_or(wrong)?);
        } else if words.take("LIMIT") {
            let limit = words.number("a number of rows")?;
            filter.limit = usize::try_from(limit).unwrap_or(LIST_ROWS_MAX).min(LIST_ROWS_MAX);
        } else {
            return Err(words.expected("ON <shard>, STATE <state>, AFTER <id> or LIMIT <n>"));
        }
    }
    let snapshot = context.snapshots.load();
    let mut table = empty();
    for (workspace, entry) in context.workspaces.list(&keyspace, &filter)? {
        table.push(row(&snapshot, &keyspace, &workspace, &entry));
    }
    Ok(AdminAnswer::Rows(table))
}

fn empty() -> AdminTable {
    use ColumnKind::{Number, Text};
    AdminTable::new([
        ("keyspace", Text),
        ("workspace", Text),
        ("shard", Text),
        ("cluster", Text),
        ("database", Text),
        ("state", Text),
        ("revision", Number),
    ])
}

fn row(snapshot: &Snapshot, keyspace: &Keyspace, workspace: &WorkspaceId, entry: &Entry) -> [AdminValue; 7] {
    let shard = snapshot.shard(keyspace, entry.shard.as_str());
    let schema = snapshot.vschema.keyspace(keyspace.as_str());
    let database = schema.and_then(|schema| match &schema.layout {
        Layout::DatabasePerWorkspace(pattern) => pattern.render(workspace),
        Layout::Unsharded | Layout::SharedTables => Some(keyspace.to_string()),
    });
    [
        AdminValue::text(keyspace),
        AdminValue::text(workspace),
        AdminValue::text(&entry.shard),
        AdminValue::optional(shard.map(|shard| &shard.cluster)),
        AdminValue::optional(database),
        AdminValue::text(entry.state),
        entry.revision.into(),
    ]
}
