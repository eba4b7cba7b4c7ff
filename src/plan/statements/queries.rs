//! SELECT and DML: from what the walk found to a route.
//!
//! **A pinned workspace alone does not tie a statement on sharded tables.** Rows of many workspaces share a
//! table there, so a statement without a predicate on the workspace column reads or changes them all, whoever
//! is pinned. Such a statement is refused as `missing_workspace`, pinned or not; a user who may cross
//! workspaces can run it on the pinned workspace's shard.

use std::sync::Arc;

use sqlparser::ast::Statement;

use crate::error::Code;
use crate::ids::KeyspaceId;
use crate::sql::{ScanFlags, StatementKind};
use crate::vschema::{ColumnVindex, DatabaseTarget, KeyspaceSchema, Layout};

use super::whole::{check_case, qualifiers, token_numbers};
use super::{PlanInput, not_supported};
use crate::plan::names::SystemSchema;
use crate::plan::query::{Slot, Source, Tie, Uses, Walk, is_cheap, is_private, solve};
use crate::plan::route::{DatabaseRoute, KeyRoute, KeySource, Plan, Route, SplitRows, SystemRoute, Unpinned};
use crate::plan::{Effects, Pins, Refusal, Tables};

/// Plans a SELECT, INSERT, REPLACE, UPDATE or DELETE.
pub(crate) fn plan_query(statement: &Statement, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    let flags = input.scan.flags;
    if flags.contains(ScanFlags::INTO_FILE) {
        return Err(not_supported("INTO OUTFILE and INTO DUMPFILE write to one server's disk"));
    }
    if flags.contains(ScanFlags::OVERFLOW) {
        return Err(Refusal::because(Code::StatementTooComplex, "too many literals or comments"));
    }
    let mut walk = Walk::run(input.names(), input.scan, statement)?;
    if walk.uses.writes.system {
        return Err(not_supported("writing to a system schema"));
    }
    check_qualifiers(&mut walk, input)?;
    let route = route_of(&mut walk, input)?;
    check_private(&walk, input)?;
    let writes = walk.uses.writes.any;
    let effects = Effects { writes, ..effects_of(flags) };
    let acting = flags.intersects(
        ScanFlags::LOCK_FUNCTION
            .union(ScanFlags::LOCKING_READ)
            .union(ScanFlags::INTO_VARIABLE)
            .union(ScanFlags::ASSIGNMENT)
            .union(ScanFlags::CALC_FOUND_ROWS)
            .union(ScanFlags::SESSION_FUNCTION),
    ) || walk.uses.sequence;
    let calls = walk.uses.stored_function.is_some();
    let has_tables = walk.uses.keyspace.is_some() || !walk.uses.system.is_empty();
    let only_locks = flags.contains(ScanFlags::LOCK_FUNCTION) && !has_tables && !calls;
    let effects = Effects { leaves_state: calls, only_locks, ..effects };
    let reads_only = !writes && !acting && !calls;
    let tables = Tables::named(&walk.uses.tables);
    Ok(Plan { tables, ..input.plan(reads_only, route, effects) })
}

/// What a statement does to the session, as far as its tokens tell.
pub(crate) fn effects_of(flags: ScanFlags) -> Effects {
    let mut pins = Pins::NONE;
    let mut add = |flag, pin| {
        if flags.intersects(flag) {
            pins = pins.with(pin);
        }
    };
    add(ScanFlags::LOCK_FUNCTION, Pins::USER_LOCK);
    add(ScanFlags::ASSIGNMENT.union(ScanFlags::INTO_VARIABLE), Pins::USER_VARIABLE);
    add(ScanFlags::CALC_FOUND_ROWS, Pins::FOUND_ROWS);
    Effects {
        pins,
        releases: if flags.contains(ScanFlags::LOCK_FUNCTION) { Pins::USER_LOCK } else { Pins::NONE },
        asks_previous: flags.contains(ScanFlags::SESSION_FUNCTION),
        reads_variables: flags.contains(ScanFlags::USER_VARIABLE),
        locks_rows: flags.contains(ScanFlags::LOCKING_READ),
        ..Effects::default()
    }
}

/// Only users who may cross workspaces see what everybody's sessions do on a server.
fn check_private(walk: &Walk<'_>, input: &PlanInput<'_>) -> Result<(), Refusal> {
    if let Some(at) = walk.uses.system_function.filter(|_| !input.target.may_cross) {
        return Err(not_supported("a function of `sys` may show other sessions' work").at(at));
    }
    let found = walk.uses.system.iter().find(|used| is_private(used.schema, &used.table));
    match found {
        Some(used) if !input.target.may_cross => {
            let what = match used.schema {
                SystemSchema::Mysql => {
                    format!("`mysql`.`{}` is about one server and its accounts", used.table)
                }
                _ => format!("`{}` shows other sessions' work; SHOW PROCESSLIST shows your own", used.table),
            };
            Err(not_supported(&what).at(used.at))
        }
        _ => Ok(()),
    }
}

/// Looks at every qualifier in the text once more, by tokens, for places the tree does not show (sequences,
/// hints, partitions): a workspace's database that the walk did not meet counts as named.
fn check_qualifiers(walk: &mut Walk<'_>, input: &PlanInput<'_>) -> Result<(), Refusal> {
    if !input.scan.flags.contains(ScanFlags::QUALIFIER) {
        return Ok(());
    }
    for qualifier in qualifiers(input) {
        let (name, at) = (&*qualifier.name, qualifier.at);
        if walk.was_seen(at) {
            continue;
        }
        let database = input.vschema.resolve_database(name);
        // The name of a table here; of one that is named like a database only before a column. An argument of
        // a sequence's function looks like a column and is none.
        let is_column =
            || !walk.uses.sequence && (qualifier.is_of_column || walk.column_tables.contains(&at));
        let is_own = match &database {
            None => true,
            Some(DatabaseTarget::Keyspace(keyspace)) => {
                is_column() || walk.uses.keyspace.as_ref().is_none_or(|own| own.name == keyspace.name)
            }
            Some(DatabaseTarget::Workspace(..)) => is_column(),
        };
        if is_own && walk.is_visible_name(name) {
            continue;
        }
        match database {
            Some(DatabaseTarget::Workspace(keyspace, workspace)) => {
                walk.enter_keyspace(&keyspace, at)?;
                walk.uses.named.push(workspace);
            }
            Some(DatabaseTarget::Keyspace(keyspace)) => {
                walk.enter_keyspace(&keyspace, at)?;
                if matches!(keyspace.layout, Layout::DatabasePerWorkspace(_)) {
                    walk.uses.unnamed = true;
                    walk.uses.logical.push(at);
                }
            }
            None => check_case(input, name, at)?,
        }
    }
    Ok(())
}

fn route_of(walk: &mut Walk<'_>, input: &PlanInput<'_>) -> Result<Route, Refusal> {
    let tie = solve(walk);
    let Some(keyspace) = walk.uses.keyspace.clone() else {
        return no_tables(walk, &tie, input);
    };
    if !walk.uses.system.is_empty() {
        let current_only = walk.sources(|slot| *slot == Slot::Schema) == [Source::CurrentDatabase];
        let fenced = fence(walk, &tie, input);
        if fenced.is_err() || !(current_only || walk.sources(|slot| *slot == Slot::Schema).is_empty()) {
            fenced?;
            return Err(Refusal::because(Code::CrossKeyspace, "tables of a system schema and of a keyspace"));
        }
    }
    match keyspace.layout {
        Layout::Unsharded => Ok(Route::Unsharded(keyspace.name.clone())),
        Layout::DatabasePerWorkspace(_) => {
            let uses = &mut walk.uses;
            let unpinned = if uses.are_own_alone() { Unpinned::Own } else { Unpinned::Refused };
            uses.named.sort();
            uses.named.dedup();
            uses.logical.sort_unstable();
            uses.logical.dedup();
            Ok(Route::Database(DatabaseRoute {
                keyspace,
                named: std::mem::take(&mut uses.named),
                unnamed: uses.unnamed,
                logical: token_numbers(input, &uses.logical)?,
                unpinned,
            }))
        }
        Layout::SharedTables => shared_route(walk, &tie, keyspace, input),
    }
}

/// A statement without tables of a keyspace.
fn no_tables(walk: &Walk<'_>, tie: &Tie, input: &PlanInput<'_>) -> Result<Route, Refusal> {
    let session = input.names().session_keyspace().cloned();
    let whole = session.as_ref().is_some_and(|keyspace| keyspace.layout != Layout::SharedTables);
    if let Some(at) = walk.uses.stored_function {
        return if whole { input.session_route() } else { Err(stored_function(at)) };
    }
    if walk.uses.sequence {
        return if whole { input.session_route() } else { Err(not_supported("a sequence")) };
    }
    if walk.uses.system.is_empty() {
        let locks = input.scan.flags.contains(ScanFlags::LOCK_FUNCTION);
        return if locks { lock_route(input) } else { Ok(Route::Any) };
    }
    fence(walk, tie, input)?;
    let names = walk.sources(|slot| *slot == Slot::Schema).iter().map(key_source).collect();
    Ok(Route::System(SystemRoute { session, names }))
}

/// Where `GET_LOCK` and its like run: everyone who asks for a lock in one target must ask the same server.
fn lock_route(input: &PlanInput<'_>) -> Result<Route, Refusal> {
    match input.names().session_keyspace() {
        Some(keyspace) if keyspace.layout == Layout::SharedTables && !input.target.workspace_pinned => {
            Ok(Route::PinnedTable { keyspace: keyspace.name.clone(), id: KeyspaceId::new(&[0]) })
        }
        // Migrations lock on a connection of their own, which has not chosen a workspace.
        Some(keyspace)
            if matches!(keyspace.layout, Layout::DatabasePerWorkspace(_))
                && !input.target.workspace_pinned =>
        {
            Ok(Route::AnyShard(keyspace.name.clone()))
        }
        _ => input.session_route(),
    }
}

fn stored_function(at: usize) -> Refusal {
    not_supported("a stored function may read rows of every workspace").at(at)
}

/// Refuses scans over all databases of a cluster.
fn fence(walk: &Walk<'_>, tie: &Tie, input: &PlanInput<'_>) -> Result<(), Refusal> {
    if !super::schema::is_fenced(input) {
        return Ok(());
    }
    for used in &walk.uses.system {
        let confined = used.columns.iter().any(|column| tie.is_bound(*column));
        if !confined && !is_cheap(used.schema, &used.table) {
            return Err(Refusal::because(Code::FencedScan, format!("`{}`", used.table)).at(used.at));
        }
    }
    Ok(())
}

fn key_source(source: &Source) -> KeySource {
    match source {
        Source::Literal(at) => KeySource::Literal(*at),
        Source::Parameter(at) => KeySource::Parameter(*at),
        Source::CurrentDatabase => KeySource::CurrentDatabase,
    }
}

/// A statement on tables of a `shared_tables` keyspace.
fn shared_route(
    walk: &mut Walk<'_>,
    tie: &Tie,
    keyspace: Arc<KeyspaceSchema>,
    input: &PlanInput<'_>,
) -> Result<Route, Refusal> {
    let flags = input.scan.flags;
    if flags.intersects(ScanFlags::VERSION_COMMENT_SKIPPED.union(ScanFlags::VERSION_COMMENT_DISPUTED)) {
        return Err(Refusal::because(
            Code::UnreadStatement,
            "a version comment that some servers run and others do not",
        ));
    }
    if let Some(at) = walk.uses.stored_function {
        return Err(stored_function(at));
    }
    if walk.uses.sequence {
        return Err(not_supported("a sequence in a keyspace of shared tables"));
    }
    if input.target.all_shards {
        return all_shards(walk, keyspace, input);
    }
    if walk.uses.writes.reference {
        return Err(Refusal::because(
            Code::CrossShard,
            "a reference table lives on every shard: write to it with the directive all_shards",
        ));
    }
    if !walk.uses.pinned.is_empty() {
        return pinned_table(&walk.uses, keyspace);
    }
    if walk.uses.sharded.is_empty() {
        return Ok(Route::AnyShard(keyspace.name.clone()));
    }
    key_route(walk, tie, keyspace, input)
}

fn pinned_table(uses: &Uses, keyspace: Arc<KeyspaceSchema>) -> Result<Route, Refusal> {
    let id = uses.pinned[0].clone();
    if uses.pinned.iter().any(|other| *other != id) || !uses.sharded.is_empty() {
        return Err(Refusal::because(Code::CrossShard, "a pinned table together with others"));
    }
    Ok(Route::PinnedTable { keyspace: keyspace.name.clone(), id })
}

/// The explicit directive: the same text on every shard, when the answers only need to be put together.
fn all_shards(
    walk: &Walk<'_>,
    keyspace: Arc<KeyspaceSchema>,
    input: &PlanInput<'_>,
) -> Result<Route, Refusal> {
    let refuse = |why: &str| Err(Refusal::because(Code::CrossShard, format!("all_shards with {why}")));
    if input.target.workspace_pinned && !input.target.may_cross {
        return Err(Refusal::because(Code::TenantGuard, "all_shards reaches every workspace"));
    }
    let uses = &walk.uses;
    let inserts = matches!(input.scan.kind, StatementKind::Insert | StatementKind::Replace);
    if inserts && (!uses.sharded.is_empty() || !uses.pinned.is_empty()) {
        return refuse("an INSERT into a table that is not a reference table");
    }
    if !uses.writes.any && uses.sharded.is_empty() {
        return refuse("a table that is the same on every shard");
    }
    if !uses.pinned.is_empty() {
        return refuse("a pinned table");
    }
    if !uses.key_changes.is_empty() {
        return Err(Refusal::new(Code::WorkspaceColumnChange).at(uses.key_changes[0].0));
    }
    match uses.not_simple {
        Some(why) => refuse(why),
        None => Ok(Route::AllShards(keyspace.name.clone())),
    }
}

/// The shard that the statement's own values name.
fn key_route(
    walk: &mut Walk<'_>,
    tie: &Tie,
    keyspace: Arc<KeyspaceSchema>,
    input: &PlanInput<'_>,
) -> Result<Route, Refusal> {
    let vindex = common_vindex(&walk.uses)?;
    let prefix = match bound_prefix(walk, tie) {
        Ok(prefix) => prefix,
        Err(refusal) if input.target.may_cross && input.target.workspace_pinned => {
            return if walk.uses.key_changes.is_empty() && walk.insert.is_none() {
                Ok(Route::SessionKey(keyspace))
            } else {
                Err(refusal)
            };
        }
        Err(refusal) => return Err(refusal),
    };
    let values = (0..prefix)
        .map(|position| {
            let of = |slot: &Slot| matches!(slot, Slot::Key { position: at, .. } if *at == position);
            walk.sources(of).iter().map(key_source).collect()
        })
        .collect();
    let kept = kept_values(&walk.uses, &vindex)?;
    let rows = split_rows(walk, input)?;
    Ok(Route::Key(Box::new(KeyRoute { keyspace, vindex, values, kept, rows })))
}

/// The vindex that all sharded tables share: under another one, the same workspace may be elsewhere.
fn common_vindex(uses: &Uses) -> Result<ColumnVindex, Refusal> {
    let first = &uses.sharded[0];
    let other = uses.sharded.iter().find(|table| table.vindex.vindex_name != first.vindex.vindex_name);
    match other {
        Some(other) => {
            let detail = format!("`{}` and `{}` are sharded by different vindexes", first.table, other.table);
            Err(Refusal::because(Code::CrossShard, detail).at(other.at))
        }
        None => Ok(first.vindex.clone()),
    }
}

/// How many leading columns of the vindex are bound in every sharded table; at least one.
fn bound_prefix(walk: &Walk<'_>, tie: &Tie) -> Result<usize, Refusal> {
    let mut prefix = usize::MAX;
    for table in &walk.uses.sharded {
        let bound = table.columns.iter().take_while(|column| tie.is_bound(**column)).count();
        if bound == 0 {
            return Err(untied(walk, table));
        }
        prefix = prefix.min(bound);
    }
    Ok(prefix)
}

fn untied(walk: &Walk<'_>, table: &crate::plan::query::Sharded) -> Refusal {
    let columns = table.vindex.columns.join(", ");
    if let Some(at) = walk.near_miss(&table.columns) {
        let detail =
            format!("`{}`.{columns} is compared with something else than a plain value", table.table);
        return Refusal::because(Code::UnroutableValue, detail).at(at);
    }
    let any = !walk.sources(|slot| matches!(slot, Slot::Key { .. })).is_empty();
    let code = if any { Code::CrossShard } else { Code::MissingWorkspace };
    Refusal::because(code, format!("`{}` needs a predicate on {columns}", table.table)).at(table.at)
}

/// Values assigned to the workspace column; anything but a plain value may change it.
fn kept_values(uses: &Uses, vindex: &ColumnVindex) -> Result<Vec<KeySource>, Refusal> {
    uses.key_changes
        .iter()
        .map(|(at, value)| match value {
            Some(source @ (Source::Literal(_) | Source::Parameter(_))) if vindex.columns.len() == 1 => {
                Ok(key_source(source))
            }
            _ => Err(Refusal::new(Code::WorkspaceColumnChange).at(*at)),
        })
        .collect()
}

fn split_rows(walk: &Walk<'_>, input: &PlanInput<'_>) -> Result<Option<SplitRows>, Refusal> {
    let Some(rows) = &walk.insert else { return Ok(None) };
    if rows.keys.len() < 2 {
        return Ok(None);
    }
    let offsets: Vec<usize> = rows.spans.iter().flat_map(|(open, close)| [*open, *close]).collect();
    let numbers = token_numbers(input, &offsets)?;
    let tokens = numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    let keys = rows.keys.iter().map(|row| row.iter().map(key_source).collect()).collect();
    let flags = input.scan.flags;
    let whole = if walk.uses.not_simple.is_some() {
        Some("a subquery")
    } else if flags.contains(ScanFlags::PLACEHOLDER.union(ScanFlags::OVERFLOW)) {
        Some("so many parameters")
    } else if flags.intersects(ScanFlags::RETURNING.union(ScanFlags::ASSIGNMENT)) {
        Some("RETURNING or an assignment")
    } else if flags.contains(ScanFlags::VERSION_COMMENT) {
        Some("a version comment, which may begin and end in different rows")
    } else {
        None
    };
    Ok(Some(SplitRows { keys, tokens, whole }))
}
