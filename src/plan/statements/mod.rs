//! From a parsed statement to its plan: dispatch, and the rules for statements that are no queries.

pub(crate) mod bodies;
mod ddl;
mod queries;
mod schema;
pub(crate) mod whole;

use std::sync::Arc;

use crate::error::Code;
use crate::sql::{
    ClientCharset, DdlObject, ExplainStatement, Explained, HandlerVerb, Parsed, PrepareSource, Scan,
    ScanFlags, SetItem, SqlMode, StatementKind, TransactionStatement, Unread, UnreadReason, ValueKind,
    VariableScope, XaStatement,
};
use crate::vschema::{KeyspaceSchema, Layout, Vschema};

use super::names::Names;
use super::route::{DatabaseRoute, Plan, Route, Unpinned};
use super::{Effects, LocalAnswer, Pins, Refusal, Tables, TargetShape, TransactionEffect};

/// What planning looks at besides the parsed statement.
#[derive(Clone, Copy)]
pub struct PlanInput<'a> {
    /// The client's text.
    pub text: &'a [u8],
    /// Its scan.
    pub scan: &'a Scan,
    /// How it was read.
    pub mode: SqlMode,
    /// What is sharded by what.
    pub vschema: &'a Vschema,
    /// The session's target.
    pub target: &'a TargetShape,
}

impl<'a> PlanInput<'a> {
    pub(crate) fn names(&self) -> Names<'a> {
        Names { vschema: self.vschema, target: self.target }
    }

    pub(crate) fn plan(&self, reads_only: bool, route: Route, effects: Effects) -> Plan {
        Plan { kind: self.scan.kind, digest: 0, reads_only, route, effects, tables: Tables::Unread }
    }

    /// The session's own database, whatever the statement names: for statements about the session's target.
    pub(crate) fn session_route(&self) -> Result<Route, Refusal> {
        let keyspace =
            self.names().session_keyspace().ok_or_else(|| Refusal::new(Code::NoDatabaseSelected))?;
        Ok(match keyspace.layout {
            Layout::Unsharded => Route::Unsharded(keyspace.name.clone()),
            Layout::DatabasePerWorkspace(_) => database_route(keyspace),
            Layout::SharedTables => Route::SessionKey(Arc::clone(keyspace)),
        })
    }
}

/// The database of the session's workspace.
pub(crate) fn database_route(keyspace: &Arc<KeyspaceSchema>) -> Route {
    Route::Database(DatabaseRoute::of_session(Arc::clone(keyspace), Unpinned::Refused))
}

/// Plans a statement that was read.
///
/// # Errors
/// A refusal with a code of the 2xxx family, or MySQL's own error for unknown databases.
pub fn plan(statement: &Parsed, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    whole::check_disputed_comments(input)?;
    whole::check_file_reads(input)?;
    match statement {
        Parsed::Query(query) => queries::plan_query(query, input),
        Parsed::Do(query) => queries::plan_query(query, input).map(|plan| Plan { reads_only: false, ..plan }),
        Parsed::Set(items) => plan_set(items, input),
        Parsed::Transaction(transaction) => Ok(plan_transaction(transaction, input)),
        Parsed::Xa(xa) => plan_xa(*xa, input),
        Parsed::Use { .. } => Ok(local(input, LocalAnswer::Use)),
        Parsed::Show(show) => schema::plan_show(show, input),
        Parsed::Describe { table } => schema::plan_describe(table, input),
        Parsed::Explain(explain) => plan_explain(explain, input),
        Parsed::Ddl(statement) if statement.object == DdlObject::Database => ddl::plan_database(statement),
        Parsed::Ddl(statement) => ddl::plan_ddl(statement, input),
        Parsed::Kill(_) => Ok(local(input, LocalAnswer::Kill)),
        Parsed::Prepare { source, .. } => plan_prepare(source, input),
        Parsed::Execute { .. } => Ok(local(input, LocalAnswer::Execute)),
        Parsed::ExecuteImmediate { .. } => Err(not_supported("EXECUTE IMMEDIATE")),
        Parsed::Deallocate { .. } => Ok(local(input, LocalAnswer::Deallocate)),
        Parsed::LockTables(tables) => ddl::plan_lock_tables(tables, input),
        Parsed::UnlockTables => {
            let effects = Effects { implicit_commit: true, releases: Pins::TABLE_LOCK, ..Effects::default() };
            Ok(input.plan(false, Route::Any, effects))
        }
        Parsed::Call { procedure } => ddl::plan_call(procedure, input),
        Parsed::Handler(handler) => {
            let (pins, releases) = match handler.verb {
                HandlerVerb::Open => (Pins::HANDLER, Pins::NONE),
                HandlerVerb::Read => (Pins::NONE, Pins::NONE),
                HandlerVerb::Close => (Pins::NONE, Pins::HANDLER),
            };
            let route = ddl::whole_tables(&[&handler.table], "HANDLER", input)?;
            Ok(input.plan(false, route, Effects { pins, releases, ..Effects::default() }))
        }
        Parsed::LoadData(load) => ddl::plan_load(load, input),
        Parsed::TableAdmin(admin) => ddl::plan_table_admin(admin, input),
        Parsed::Flush(flush) => ddl::plan_flush(flush, input),
        Parsed::Other(kind) => plan_other(*kind, input),
    }
}

/// Plans a statement that could not be read: routed whole where every place it may reach is one workspace's
/// or one database's, else refused.
///
/// # Errors
/// `unread_statement`, `statement_too_complex`, or what the names in the text give rise to.
pub fn plan_unread(unread: &Unread, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    let is_shared = |keyspace: &Arc<KeyspaceSchema>| keyspace.layout == Layout::SharedTables;
    let needs_reading = input.names().session_keyspace().is_none_or(is_shared);
    if matches!(unread.why, UnreadReason::TooComplex { .. }) && needs_reading {
        return Err(Refusal::because(Code::StatementTooComplex, unread.to_string()).at(unread.at));
    }
    if unread.why == UnreadReason::Invalid && input.mode.charset != ClientCharset::Utf8 {
        let why = "bytes beyond ASCII outside of strings, which this character set may read otherwise; \
                   SET NAMES utf8mb4";
        return Err(Refusal::because(Code::UnreadStatement, why).at(unread.at));
    }
    whole::check_disputed_comments(input)?;
    whole::check_file_reads(input)?;
    let has_body = matches!(input.scan.kind, StatementKind::Create | StatementKind::Alter);
    whole::check_dynamic(input, has_body)?;
    if has_body && bodies::may_define_code(input) {
        bodies::check_left_behind(input)?;
    }
    let route = whole::plan_whole(input)
        .map_err(|refusal| if refusal.at.is_none() { refusal.at(unread.at) } else { refusal })?;
    // What of a schema it changes is looked at with the table's definition; what cannot be read is refused.
    let changes_schema = changes_schemas(input.scan.kind);
    if !changes_schema {
        whole::check_alters_within(input)?;
    }
    let effects = Effects {
        writes: true,
        leaves_state: true,
        changes_schema,
        alters_table: changes_schema,
        ..queries::effects_of(input.scan.flags)
    };
    Ok(input.plan(false, route, effects))
}

/// Says whether statements of this kind change a schema.
fn changes_schemas(kind: StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Create
            | StatementKind::Alter
            | StatementKind::Drop
            | StatementKind::Rename
            | StatementKind::Truncate
    )
}

fn local(input: &PlanInput<'_>, answer: LocalAnswer) -> Plan {
    input.plan(true, Route::Local(answer), Effects::default())
}

/// A refusal of what the proxy does not do.
pub(crate) fn not_supported(what: &str) -> Refusal {
    Refusal::because(Code::NotSupported, what.to_owned())
}

fn plan_set(items: &[SetItem], input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    let mut effects = Effects::default();
    for item in items {
        match item {
            SetItem::Variable { scope, name, value } => {
                if !matches!(scope, VariableScope::Implicit | VariableScope::Session) {
                    let what =
                        format!("SET GLOBAL {}: it would change one server behind the others", name.text);
                    return Err(not_supported(&what).at(name.span.start as usize));
                }
                if value.kind == ValueKind::Relative {
                    whole::check_expression(value.span, input)?;
                    effects.pins = effects.pins.with(Pins::SESSION_VARIABLE);
                    effects.reads_variables = true;
                }
            }
            SetItem::UserVariable { value, .. } => {
                if value.kind == ValueKind::Relative {
                    whole::check_expression(value.span, input)?;
                    effects.pins = effects.pins.with(Pins::USER_VARIABLE);
                    effects.reads_variables = true;
                }
            }
            SetItem::Names { .. } | SetItem::CharacterSet { .. } | SetItem::Transaction { .. } => {}
            SetItem::Password => return Err(not_supported("SET PASSWORD")),
            SetItem::Role { .. } => return Err(not_supported("SET ROLE")),
            SetItem::ResourceGroup => return Err(not_supported("SET RESOURCE GROUP")),
            SetItem::ForStatement { .. } => return Err(not_supported("SET STATEMENT … FOR")),
        }
    }
    Ok(input.plan(true, Route::Local(LocalAnswer::Set), effects))
}

fn plan_transaction(transaction: &TransactionStatement, input: &PlanInput<'_>) -> Plan {
    let effect = match transaction {
        TransactionStatement::Begin { .. } => TransactionEffect::Begin,
        TransactionStatement::Commit(_) => TransactionEffect::Commit,
        TransactionStatement::Rollback(_) => TransactionEffect::Rollback,
        TransactionStatement::Savepoint(_) => TransactionEffect::Savepoint,
        TransactionStatement::RollbackTo(_) => TransactionEffect::RollbackToSavepoint,
        TransactionStatement::ReleaseSavepoint(_) => TransactionEffect::ReleaseSavepoint,
    };
    let effects = Effects { transaction: effect, ..Effects::default() };
    input.plan(true, Route::Local(LocalAnswer::Transaction), effects)
}

fn plan_xa(xa: XaStatement, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    let (pins, releases) = match xa {
        XaStatement::Start => (Pins::XA, Pins::NONE),
        XaStatement::End | XaStatement::Prepare => (Pins::NONE, Pins::NONE),
        XaStatement::Commit { .. } | XaStatement::Rollback => (Pins::NONE, Pins::XA),
        XaStatement::Recover => return Err(not_supported("XA RECOVER")),
    };
    let effects = Effects { pins, releases, writes: true, ..Effects::default() };
    Ok(input.plan(false, input.session_route()?, effects))
}

fn plan_prepare(source: &PrepareSource, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    match source {
        PrepareSource::Text(..) | PrepareSource::Variable(_) => Ok(local(input, LocalAnswer::Prepare)),
        PrepareSource::Expression(span) => {
            Err(not_supported("PREPARE from an expression").at(span.start as usize))
        }
    }
}

fn plan_explain(explain: &ExplainStatement, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    if let Some(database) = &explain.database {
        return Err(not_supported("EXPLAIN FOR DATABASE").at(database.span.start as usize));
    }
    let mut plan = match &explain.explained {
        Explained::Query(query) => queries::plan_query(query, input)?,
        Explained::Unread(_) => {
            let route = whole::plan_whole(input)?;
            input.plan(!explain.analyze, route, Effects::default())
        }
        Explained::Connection(_) => return Err(not_supported("EXPLAIN FOR CONNECTION")),
    };
    if !explain.analyze {
        plan.reads_only = explain.into.is_none();
        plan.effects = Effects::default();
    }
    if explain.into.is_some() {
        plan.effects.pins = plan.effects.pins.with(Pins::USER_VARIABLE);
    }
    if matches!(plan.route, Route::AllShards(_)) {
        return Err(Refusal::because(Code::CrossShard, "EXPLAIN on every shard"));
    }
    Ok(plan)
}

fn plan_other(kind: StatementKind, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    use StatementKind as Kind;
    match kind {
        Kind::Empty => Err(Refusal::new(Code::EmptyQuery)),
        Kind::Signal => {
            let effects = Effects { asks_previous: true, ..queries::effects_of(input.scan.flags) };
            // GET DIAGNOSTICS writes into them.
            let pins = if effects.reads_variables { Pins::USER_VARIABLE } else { Pins::NONE };
            let effects =
                Effects { pins: effects.pins.with(pins), leaves_state: effects.reads_variables, ..effects };
            Ok(input.plan(false, Route::Any, effects))
        }
        Kind::Help => Ok(input.plan(true, Route::Any, Effects::default())),
        Kind::Unlock => {
            let effects = Effects { releases: Pins::TABLE_LOCK, ..Effects::default() };
            Ok(input.plan(false, Route::Any, effects))
        }
        Kind::Reset
        | Kind::Flush
        | Kind::Grant
        | Kind::Revoke
        | Kind::Replication
        | Kind::Install
        | Kind::Server
        | Kind::Lock => Err(not_supported(&format!("{} is about one server", kind.name()))),
        Kind::Compound if !input.target.may_cross => {
            Err(not_supported("a compound statement outside of a routine"))
        }
        _ => {
            whole::check_dynamic(input, false)?;
            let route = whole::plan_whole(input)?;
            let effects =
                Effects { writes: true, leaves_state: true, ..queries::effects_of(input.scan.flags) };
            let effects = Effects { implicit_commit: commits(kind, input.scan.flags), ..effects };
            Ok(input.plan(false, route, effects))
        }
    }
}

/// Statements that commit the open transaction by their kind alone.
pub(crate) fn commits(kind: StatementKind, flags: ScanFlags) -> bool {
    use StatementKind as Kind;
    match kind {
        Kind::Create | Kind::Drop => !flags.contains(ScanFlags::TEMPORARY),
        Kind::Alter | Kind::Rename | Kind::Truncate | Kind::TableAdmin | Kind::Lock | Kind::Flush => true,
        _ => false,
    }
}
