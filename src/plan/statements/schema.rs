//! Questions about the schema: SHOW and DESCRIBE, answered as one MySQL would for the session's target.

use crate::error::Code;
use crate::sql::{Name, ObjectName, ShowKind, ShowStatement, Span, TokenKind};
use crate::vschema::{DatabaseTarget, Layout};

use super::whole::{check_calls, name_of, token_numbers, tokens_of};
use super::{PlanInput, not_supported};
use crate::plan::names::{SystemSchema, unknown_database};
use crate::plan::route::{DatabaseRoute, Plan, Route, SystemRoute, Unpinned};
use crate::plan::{Effects, LocalAnswer, Refusal};

/// Plans SHOW.
pub(crate) fn plan_show(show: &ShowStatement, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    use ShowKind as Kind;
    let route = match show.kind {
        Kind::Databases => Route::Local(LocalAnswer::Databases),
        Kind::ProcessList => Route::Local(LocalAnswer::ProcessList),
        Kind::Tables | Kind::TableStatus | Kind::Triggers | Kind::Events => {
            for_all(database_of(show.database.as_ref(), input)?, None)
        }
        Kind::OpenTables if show.database.is_some() => database_of(show.database.as_ref(), input)?,
        Kind::OpenTables => fenced("SHOW OPEN TABLES", input)?,
        Kind::Columns
        | Kind::Index
        | Kind::CreateTable
        | Kind::CreateView
        | Kind::CreateRoutine
        | Kind::RoutineCode => {
            let own = show.object.as_ref().and_then(|object| object.qualifier.as_ref());
            let route = database_of(show.database.as_ref().or(own), input)?;
            for_all(route, show.object.as_ref().map(|object| &object.name))
        }
        Kind::CreateDatabase => {
            let name = show.database.as_ref().or(show.object.as_ref().map(|object| &object.name));
            database_of(name, input)?
        }
        Kind::ProcedureStatus | Kind::FunctionStatus | Kind::PackageStatus => {
            routines(show.condition, input)?
        }
        Kind::Warnings | Kind::Errors => {
            let effects = Effects { asks_previous: true, ..Effects::default() };
            return Ok(input.plan(true, Route::Any, effects));
        }
        Kind::Replication => return Err(not_supported("SHOW of replication: it is about one server")),
        Kind::Other if input.target.may_cross => super::whole::plan_whole(input)?,
        Kind::Other => return Err(not_supported("SHOW of what is not known here")),
        Kind::Engine | Kind::CreateOther if !input.target.may_cross => {
            return Err(not_supported("SHOW of accounts and of what every session does in an engine"));
        }
        Kind::Variables
        | Kind::Status
        | Kind::Grants
        | Kind::CharacterSet
        | Kind::Collation
        | Kind::Engines
        | Kind::Engine
        | Kind::Plugins
        | Kind::Privileges
        | Kind::Profile
        | Kind::CreateOther => Route::Any,
    };
    check_condition(show.condition, input)?;
    Ok(input.plan(true, route, Effects::default()))
}

/// Plans DESCRIBE of a table.
pub(crate) fn plan_describe(table: &ObjectName, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    let route = for_all(database_of(table.qualifier.as_ref(), input)?, Some(&table.name));
    Ok(input.plan(true, route, Effects::default()))
}

/// While no workspace is pinned, one of them answers for all; about its own tables the keyspace's own
/// database does.
fn for_all(route: Route, object: Option<&Name>) -> Route {
    let Route::Database(route) = route else { return route };
    let is_own = object.is_some_and(|name| route.keyspace.is_own_table(&name.text));
    let unpinned = if is_own { Unpinned::Own } else { Unpinned::Model };
    Route::Database(DatabaseRoute { unpinned, ..route })
}

/// A SHOW … WHERE with a subquery reads tables; it is not read that far.
fn check_condition(condition: Option<Span>, input: &PlanInput<'_>) -> Result<(), Refusal> {
    let Some(span) = condition else { return Ok(()) };
    let reads = tokens_of(input.text, span, input.mode).find(|token| {
        let word = token.span.of(input.text);
        let is = |known: &&str| word.eq_ignore_ascii_case(known.as_bytes());
        token.kind == TokenKind::Dot || ["SELECT", "TABLE", "VALUES"].iter().any(is)
    });
    match reads {
        Some(token) => {
            let at = token.span.start as usize;
            Err(Refusal::because(Code::UnreadStatement, "a subquery in SHOW … WHERE").at(at))
        }
        None => check_calls(span, input),
    }
}

/// The database of a name, else the session's; any shard will do, for all have the same tables.
pub(crate) fn database_of(name: Option<&Name>, input: &PlanInput<'_>) -> Result<Route, Refusal> {
    let Some(name) = name else {
        let session = input.names().session_keyspace();
        let keyspace = session.ok_or_else(|| Refusal::new(Code::NoDatabaseSelected))?;
        return Ok(match keyspace.layout {
            Layout::Unsharded => Route::Unsharded(keyspace.name.clone()),
            Layout::SharedTables => Route::AnyShard(keyspace.name.clone()),
            Layout::DatabasePerWorkspace(_) => super::database_route(keyspace),
        });
    };
    let at = name.span.start as usize;
    if SystemSchema::of(&name.text).is_some() {
        let session = input.names().session_keyspace().cloned();
        return Ok(Route::System(SystemRoute { session, names: Vec::new() }));
    }
    match input.vschema.resolve_database(&name.text) {
        None => Err(unknown_database(&name.text).at(at)),
        Some(DatabaseTarget::Workspace(keyspace, workspace)) => {
            let route = DatabaseRoute::of_session(keyspace, Unpinned::Refused);
            Ok(Route::Database(DatabaseRoute { named: vec![workspace], unnamed: false, ..route }))
        }
        Some(DatabaseTarget::Keyspace(keyspace)) => Ok(match keyspace.layout {
            Layout::Unsharded => Route::Unsharded(keyspace.name.clone()),
            Layout::SharedTables => Route::AnyShard(keyspace.name.clone()),
            Layout::DatabasePerWorkspace(_) => {
                let logical = token_numbers(input, &[at])?;
                let route = DatabaseRoute::of_session(keyspace, Unpinned::Refused);
                Route::Database(DatabaseRoute { logical, ..route })
            }
        }),
    }
}

/// Says whether questions about all databases are refused: there may be too many of them, or some that the
/// user may not use.
pub(crate) fn is_fenced(input: &PlanInput<'_>) -> bool {
    let many = |layout: &Layout| matches!(layout, Layout::DatabasePerWorkspace(_));
    let has_others = input.target.confined && input.vschema.keyspaces().count() > 1;
    has_others || input.vschema.keyspaces().any(|keyspace| many(&keyspace.layout))
}

/// What visits every database of a server.
fn fenced(what: &str, input: &PlanInput<'_>) -> Result<Route, Refusal> {
    if is_fenced(input) {
        return Err(Refusal::because(Code::FencedScan, what.to_owned()));
    }
    Ok(Route::Any)
}

/// SHOW PROCEDURE STATUS and its like list all databases, unless `Db = '…'` confines them.
fn routines(condition: Option<Span>, input: &PlanInput<'_>) -> Result<Route, Refusal> {
    let all = || fenced("SHOW … STATUS of routines without Db = '<database>'", input);
    let Some(span) = condition else { return all() };
    let tokens: Vec<_> = tokens_of(input.text, span, input.mode).collect();
    let word = |at: usize| tokens.get(at).map(|token| name_of(input.text, *token).to_ascii_uppercase());
    let loosens = ["OR", "XOR", "NOT", "||", "!"];
    let loose = (0..tokens.len()).any(|at| word(at).is_some_and(|word| loosens.contains(&&*word)));
    let is_equal = |at: usize| word(at).as_deref() == Some("DB") && word(at + 1).as_deref() == Some("=");
    let Some(at) = (0..tokens.len()).find(|at| is_equal(*at)).filter(|_| !loose) else { return all() };
    let Some(value) = tokens.get(at + 2) else { return all() };
    if matches!(word(at + 2).as_deref(), Some("DATABASE" | "SCHEMA")) {
        return database_of(None, input);
    }
    if value.kind != TokenKind::String {
        return all();
    }
    let literal = input.scan.literal_at(value.span.start as usize);
    let Some(literal) = literal.map(|at| &input.scan.literals[at]) else { return all() };
    let text = String::from_utf8_lossy(&literal.bytes(input.text, input.mode)).into_owned();
    let name = Name { text, span: value.span };
    match database_of(Some(&name), input)? {
        Route::Database(route) if !route.logical.is_empty() => {
            Err(Refusal::because(Code::FencedScan, "use Db = DATABASE()").at(value.span.start as usize))
        }
        route => Ok(route),
    }
}
