//! `EXPLAIN ROUTE [FOR <keyspace>[/<workspace>]] <sql>`: where a statement would go, and why. Nothing is run.

use super::super::context::AdminContext;
use super::super::table::{AdminAnswer, AdminTable, ColumnKind};
use super::super::words::Words;
use crate::error::{ClientError, Code};
use crate::ids::{Keyspace, WorkspaceId};
use crate::plan::{
    Address, Bound, Destination, NoParams, Plan, PlanInput, Refusal, TargetShape, WorkspacePins, describe,
    describe_destination, plan, plan_unread,
};
use crate::sql::{Scan, SqlMode, directives, normalize, parse, scan, workspace_tag};
use crate::topology::Snapshot;
use crate::vschema::{DatabaseTarget, Layout};

/// The session that is asked for.
#[derive(Default)]
struct Target {
    keyspace: Option<Keyspace>,
    workspace: Option<WorkspaceId>,
    by_database: bool,
}

pub(in crate::admin) fn explain_route(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let snapshot = context.snapshots.load();
    let target = if words.take("FOR") { take_target(words, &snapshot)? } else { Target::default() };
    let text = words.rest().trim();
    if text.is_empty() {
        return Err(words.expected("a statement"));
    }
    let mut rows = Rows(AdminTable::new([("step", ColumnKind::Text), ("result", ColumnKind::Text)]));
    if let Err(error) = explain(text.as_bytes(), &target, &snapshot, &mut rows) {
        rows.add("refused", error.wire_message());
    }
    Ok(AdminAnswer::Rows(rows.0))
}

struct Rows(AdminTable);

impl Rows {
    fn add(&mut self, step: &str, result: impl Into<String>) {
        self.0.push([step.into(), result.into().into()]);
    }
}

fn take_target(words: &mut Words<'_>, snapshot: &Snapshot) -> Result<Target, ClientError> {
    let name = words.name("a keyspace or a workspace's database")?;
    let unknown =
        || ClientError::new(Code::AdminNotFound, format!("no keyspace or workspace database {name:?}"));
    let mut target = match snapshot.vschema.resolve_database(&name).ok_or_else(unknown)? {
        DatabaseTarget::Keyspace(schema) => {
            Target { keyspace: Some(schema.name.clone()), workspace: None, by_database: false }
        }
        DatabaseTarget::Workspace(schema, workspace) => {
            Target { keyspace: Some(schema.name.clone()), workspace: Some(workspace), by_database: true }
        }
    };
    if words.take_symbol('/') {
        let wrong = words.expected("a workspace id");
        target.workspace = Some(WorkspaceId::parse(&words.name("a workspace id")?).ok_or(wrong)?);
        let schema = snapshot.vschema.keyspace(&name);
        target.by_database =
            schema.is_some_and(|schema| matches!(schema.layout, Layout::DatabasePerWorkspace(_)));
    }
    Ok(target)
}

fn explain(text: &[u8], target: &Target, snapshot: &Snapshot, rows: &mut Rows) -> Result<(), ClientError> {
    let mode = SqlMode::default();
    let mut scanned = Scan::default();
    scan(text, mode, &mut scanned);
    rows.add("statement", normalize(text, mode, &scanned));
    let key = &snapshot.config.routing.comment_key;
    let unreadable =
        |error: crate::sql::TagError| ClientError::new(Code::WorkspaceConflict, error.to_string());
    let comment = workspace_tag(text, &scanned, key).map_err(unreadable)?;
    let pins = WorkspacePins {
        database: target.workspace.as_ref().filter(|_| target.by_database),
        variable: target.workspace.as_ref().filter(|_| !target.by_database),
        comment: comment.as_ref(),
    };
    rows.add("workspace", pinned(&pins));
    let directives = directives(text, &scanned).map_err(unreadable)?;
    let shape = TargetShape {
        keyspace: target.keyspace.clone(),
        workspace_pinned: pins.is_pinned(),
        pinned_by_database: pins.database.is_some(),
        may_cross: false,
        confined: false,
        all_shards: directives.all_shards,
    };
    let input = PlanInput { text, scan: &scanned, mode, vschema: &snapshot.vschema, target: &shape };
    let planned = made(&input, rows)?;
    rows.add("plan", describe(&planned));
    let bound = Bound {
        text,
        scan: &scanned,
        mode,
        vschema: &snapshot.vschema,
        params: &NoParams,
        pins,
        may_cross: false,
    };
    let destination = planned.bind(&bound)?;
    rows.add("destination", describe_destination(&destination));
    rows.add(
        "role",
        if planned.reads_only { "primary, or a replica if the session reads there" } else { "primary" },
    );
    resolve(&destination, planned.effects.writes, snapshot, rows)
}

fn pinned(pins: &WorkspacePins<'_>) -> String {
    let named = |source: &str, id: Option<&WorkspaceId>| id.map(|id| format!("{id} by {source}"));
    let sources =
        [named("database", pins.database), named("variable", pins.variable), named("comment", pins.comment)];
    let sources: Vec<String> = sources.into_iter().flatten().collect();
    if sources.is_empty() { "none pinned".to_owned() } else { sources.join(", ") }
}

fn made(input: &PlanInput<'_>, rows: &mut Rows) -> Result<Plan, Refusal> {
    match parse(input.text, input.scan, input.mode) {
        Ok(statement) => plan(&statement, input),
        Err(unread) => {
            rows.add("read", format!("not fully read (from byte {}): routed whole or refused", unread.at));
            plan_unread(&unread, input)
        }
    }
}

/// What the places of a destination are in the topology.
fn resolve(
    destination: &Destination,
    is_write: bool,
    snapshot: &Snapshot,
    rows: &mut Rows,
) -> Result<(), ClientError> {
    let addresses: Vec<&Address> = match destination {
        Destination::One(address) | Destination::Edited { address, .. } => vec![address],
        Destination::Split(pieces) => pieces.iter().map(|piece| &piece.address).collect(),
        Destination::All(keyspace) | Destination::Fleet(keyspace) => {
            for shard in snapshot.shards(keyspace) {
                rows.add("shard", format!("{keyspace}/{} on cluster {}", shard.name, shard.cluster));
            }
            return Ok(());
        }
        Destination::Any | Destination::Local(_) => return Ok(()),
    };
    for address in addresses {
        let place = snapshot.resolve(address)?;
        let (shard, state) = (&place.shard, place.state);
        rows.add("shard", format!("{}/{} on cluster {}, {state}", shard.keyspace, shard.name, shard.cluster));
        if let Some(code) = place.refusal(is_write) {
            return Err(ClientError::of(code));
        }
    }
    Ok(())
}
