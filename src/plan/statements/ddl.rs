//! Schema changes and other statements that name tables outside of queries: to one database, or refused.

use sqlparser::ast::Statement;

use crate::error::Code;
use crate::sql::{
    DdlObject, DdlStatement, DdlVerb, FlushStatement, LoadStatement, LockedTable, ObjectName,
    TableAdminStatement, TableAdminVerb,
};
use crate::vschema::{DatabaseTarget, KeyspaceSchema, Layout};

use super::whole::{check_case, qualifiers, token_numbers};
use super::{PlanInput, not_supported};
use crate::plan::names::unknown_database;
use crate::plan::query::Walk;
use crate::plan::route::{DatabaseRoute, Plan, Route, Unpinned};
use crate::plan::{Effects, Pins, Refusal, Tables};

/// CREATE, ALTER, DROP of databases: keyspaces come from the vschema, workspaces from the admin commands.
pub(crate) fn plan_database(statement: &DdlStatement) -> Result<Plan, Refusal> {
    let at = statement.objects.first().map_or(0, |object| object.span().start as usize);
    Err(not_supported("databases are created and dropped by the admin commands").at(at))
}

/// CREATE, ALTER, DROP, RENAME, TRUNCATE of what lies in a database.
pub(crate) fn plan_ddl(statement: &DdlStatement, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    match statement.object {
        DdlObject::Account => return Err(not_supported("accounts are made on every server by their admin")),
        DdlObject::Server | DdlObject::Loadable => {
            return Err(not_supported("the statement is about one server"));
        }
        _ => {}
    }
    let has_body = matches!(
        statement.object,
        DdlObject::Trigger
            | DdlObject::Procedure
            | DdlObject::Function
            | DdlObject::Package
            | DdlObject::Event
    );
    super::whole::check_dynamic(input, has_body)?;
    // An event runs on a thread of its own.
    let is_run_unseen = has_body && statement.object != DdlObject::Event;
    if is_run_unseen || statement.object == DdlObject::View {
        super::bodies::check_left_behind(input)?;
    }
    let route = route_of(statement, input)?;
    let temporary = statement.temporary;
    let pins =
        if temporary && statement.verb == DdlVerb::Create { Pins::TEMPORARY_TABLE } else { Pins::NONE };
    let effects = Effects {
        implicit_commit: !temporary,
        pins,
        leaves_state: !pins.is_empty(),
        writes: true,
        changes_schema: !temporary,
        alters_table: !temporary && matches!(statement.object, DdlObject::Table | DdlObject::Index),
        ..super::queries::effects_of(input.scan.flags)
    };
    let effects = Effects { pins: effects.pins.with(pins), ..effects };
    Ok(Plan { tables: tables_of(statement), ..input.plan(false, route, effects) })
}

/// Where a schema change goes. While no workspace is pinned, one of tables, indexes and views is made in
/// every database of its keyspace; one of the keyspace's own tables in its own database.
fn route_of(statement: &DdlStatement, input: &PlanInput<'_>) -> Result<Route, Refusal> {
    let names = names_of(statement);
    let mut found = Found::of(&names, input)?;
    if let Some(query) = &statement.query {
        found.add_query(query, first_at(&names), input)?;
    }
    let is_own = |keyspace: &KeyspaceSchema| names.iter().all(|name| keyspace.is_own_table(&name.name.text));
    match &found.keyspace {
        Some(keyspace) if keyspace.layout == Layout::SharedTables => {
            // A session of one workspace does not change what all of them share.
            if reaches_all(statement) && !input.target.workspace_pinned {
                return Ok(Route::Fleet(keyspace.name.clone()));
            }
            found.route(&names, Code::WideDdl, input)
        }
        Some(keyspace) if matches!(keyspace.layout, Layout::DatabasePerWorkspace(_)) => {
            let unpinned = match () {
                () if !statement.temporary && is_own(keyspace) => Unpinned::Own,
                () if reaches_all(statement) => Unpinned::Fleet,
                () => Unpinned::Refused,
            };
            match found.route(&names, Code::WideDdl, input)? {
                Route::Database(route) => Ok(Route::Database(DatabaseRoute { unpinned, ..route })),
                route => Ok(route),
            }
        }
        _ => found.route(&names, Code::WideDdl, input),
    }
}

/// Says whether a schema change may be made in all databases at once. Not what empties tables or fills them,
/// and not code of the database.
fn reaches_all(statement: &DdlStatement) -> bool {
    let is_filled = statement.object == DdlObject::Table && statement.query.is_some();
    matches!(statement.object, DdlObject::Table | DdlObject::Index | DdlObject::View)
        && statement.verb != DdlVerb::Truncate
        && !statement.temporary
        && !is_filled
}

fn names_of(statement: &DdlStatement) -> Vec<&ObjectName> {
    statement.objects.iter().chain(&statement.others).collect()
}

/// What a query or a body in it names is not looked for.
fn tables_of(statement: &DdlStatement) -> Tables {
    match statement.object {
        DdlObject::Table | DdlObject::Index if statement.query.is_none() => {
            Tables::of_objects(&names_of(statement))
        }
        _ => Tables::Unread,
    }
}

/// LOCK TABLES.
pub(crate) fn plan_lock_tables(tables: &[LockedTable], input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    let names: Vec<&ObjectName> = tables.iter().map(|locked| &locked.table).collect();
    let route = whole_tables(&names, "LOCK TABLES", input)?;
    let effects = Effects {
        implicit_commit: true,
        pins: Pins::TABLE_LOCK,
        writes: tables.iter().any(|locked| locked.write),
        ..Effects::default()
    };
    Ok(Plan { tables: Tables::of_objects(&names), ..input.plan(false, route, effects) })
}

/// CALL: a procedure does what it likes in its database, so the whole database must be the session's.
pub(crate) fn plan_call(procedure: &ObjectName, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    let route = whole_tables(&[procedure], "CALL", input)?;
    let flags = super::queries::effects_of(input.scan.flags);
    let variables = if flags.reads_variables { Pins::USER_VARIABLE } else { Pins::NONE };
    let pins = flags.pins.with(variables);
    let effects = Effects { writes: true, leaves_state: true, pins, ..flags };
    Ok(input.plan(false, route, effects))
}

/// LOAD DATA, LOAD XML.
pub(crate) fn plan_load(load: &LoadStatement, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    if !load.local {
        return Err(not_supported("LOAD DATA without LOCAL reads one server's disk"));
    }
    let route = whole_tables(&[&load.table], "LOAD DATA", input)?;
    let effects = Effects { writes: true, ..super::queries::effects_of(input.scan.flags) };
    Ok(input.plan(false, route, effects))
}

/// ANALYZE, OPTIMIZE, CHECK, REPAIR, CHECKSUM of tables.
pub(crate) fn plan_table_admin(admin: &TableAdminStatement, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    let names: Vec<&ObjectName> = admin.tables.iter().collect();
    let route = one_database(&names, Code::WideDdl, input)?;
    let reads = admin.verb == TableAdminVerb::Checksum;
    let alters_table = admin.verb == TableAdminVerb::Optimize;
    let effects = Effects {
        implicit_commit: !reads,
        writes: !reads,
        changes_schema: alters_table,
        alters_table,
        ..Effects::default()
    };
    Ok(Plan { tables: Tables::of_objects(&names), ..input.plan(reads, route, effects) })
}

/// FLUSH: of named tables only.
pub(crate) fn plan_flush(flush: &FlushStatement, input: &PlanInput<'_>) -> Result<Plan, Refusal> {
    if flush.tables.is_empty() {
        return Err(not_supported("FLUSH is about one server"));
    }
    let names: Vec<&ObjectName> = flush.tables.iter().collect();
    let route = whole_tables(&names, "FLUSH TABLES", input)?;
    let pins = if flush.locks { Pins::TABLE_LOCK } else { Pins::NONE };
    let effects = Effects { implicit_commit: true, pins, writes: true, ..Effects::default() };
    Ok(input.plan(false, route, effects))
}

/// The one database that the names lie in, for statements that `shared_tables` keyspaces do not support.
pub(crate) fn whole_tables(
    names: &[&ObjectName],
    what: &str,
    input: &PlanInput<'_>,
) -> Result<Route, Refusal> {
    one_database(names, Code::NotSupported, input).map_err(|refusal| {
        if refusal.code == Code::NotSupported {
            let detail = format!("{what} in a keyspace of shared tables reaches every workspace");
            return Refusal { detail: detail.into(), ..refusal };
        }
        refusal
    })
}

/// The one database that the names lie in; `shared` is the refusal where tables are shared by workspaces.
///
/// Bodies of views, routines and triggers are checked by their tokens: whatever stands before a dot and is
/// another workspace's database, or another keyspace, is refused.
fn one_database(names: &[&ObjectName], shared: Code, input: &PlanInput<'_>) -> Result<Route, Refusal> {
    Found::of(names, input)?.route(names, shared, input)
}

fn first_at(names: &[&ObjectName]) -> usize {
    names.first().map_or(0, |name| name.span().start as usize)
}

#[derive(Default)]
struct Found {
    keyspace: Option<std::sync::Arc<crate::vschema::KeyspaceSchema>>,
    named: Vec<crate::ids::WorkspaceId>,
    unqualified: bool,
    logical: Vec<usize>,
    seen: Vec<usize>,
}

impl Found {
    /// What the names of a statement, and everything in front of a dot, lie in.
    fn of(names: &[&ObjectName], input: &PlanInput<'_>) -> Result<Self, Refusal> {
        let mut found = Self::default();
        for name in names {
            found.add(name, input)?;
        }
        if found.unqualified {
            let session = input.names().session_keyspace().cloned();
            let keyspace = session.ok_or_else(|| Refusal::new(Code::NoDatabaseSelected))?;
            found.enter(&keyspace, first_at(names))?;
        }
        found.check_rest(input)?;
        Ok(found)
    }

    /// What the query of a new table or view reads. Its unqualified names are the session's, wherever the new
    /// one lies: sent to the place of the new one alone, they would mean other tables there.
    fn add_query(&mut self, query: &Statement, at: usize, input: &PlanInput<'_>) -> Result<(), Refusal> {
        // All of it is in the session's database already.
        if self.unqualified {
            return Ok(());
        }
        let uses = Walk::run(input.names(), input.scan, query)?.uses;
        if let Some(keyspace) = &uses.keyspace {
            self.enter(keyspace, at)?;
        }
        if uses.stored_function.is_some() || uses.sequence {
            let session = input.names().session_keyspace();
            self.enter(session.ok_or_else(|| Refusal::new(Code::NoDatabaseSelected))?, at)?;
            self.unqualified = true;
        }
        self.unqualified |= uses.unnamed;
        Ok(())
    }

    /// The one database.
    fn route(self, names: &[&ObjectName], shared: Code, input: &PlanInput<'_>) -> Result<Route, Refusal> {
        let Some(keyspace) = self.keyspace else { return Err(Refusal::new(Code::NoDatabaseSelected)) };
        match keyspace.layout {
            Layout::Unsharded => Ok(Route::Unsharded(keyspace.name.clone())),
            Layout::SharedTables => Err(Refusal::new(shared).at(first_at(names))),
            Layout::DatabasePerWorkspace(_) => Ok(Route::Database(DatabaseRoute {
                keyspace,
                named: self.named,
                unnamed: self.unqualified || !self.logical.is_empty(),
                logical: token_numbers(input, &self.logical)?,
                unpinned: Unpinned::Refused,
            })),
        }
    }

    fn enter(
        &mut self,
        keyspace: &std::sync::Arc<crate::vschema::KeyspaceSchema>,
        at: usize,
    ) -> Result<(), Refusal> {
        match &self.keyspace {
            Some(entered) if entered.name != keyspace.name => {
                let detail = format!("`{}` and `{}`", entered.name, keyspace.name);
                Err(Refusal::because(Code::CrossKeyspace, detail).at(at))
            }
            _ => {
                self.keyspace = Some(std::sync::Arc::clone(keyspace));
                Ok(())
            }
        }
    }

    fn add(&mut self, name: &ObjectName, input: &PlanInput<'_>) -> Result<(), Refusal> {
        let Some(qualifier) = &name.qualifier else {
            self.unqualified = true;
            return Ok(());
        };
        let at = qualifier.span.start as usize;
        self.seen.push(at);
        match input.vschema.resolve_database(&qualifier.text) {
            None => Err(unknown_database(&qualifier.text).at(at)),
            Some(DatabaseTarget::Workspace(keyspace, workspace)) => {
                self.named.push(workspace);
                self.enter(&keyspace, at)
            }
            Some(DatabaseTarget::Keyspace(keyspace)) => {
                if matches!(keyspace.layout, Layout::DatabasePerWorkspace(_)) {
                    self.logical.push(at);
                }
                self.enter(&keyspace, at)
            }
        }
    }

    /// Qualifiers anywhere else in the text.
    fn check_rest(&mut self, input: &PlanInput<'_>) -> Result<(), Refusal> {
        for qualifier in qualifiers(input) {
            let (name, at) = (&*qualifier.name, qualifier.at);
            if self.seen.contains(&at) {
                continue;
            }
            match input.vschema.resolve_database(name) {
                None => check_case(input, name, at)?,
                Some(DatabaseTarget::Workspace(keyspace, workspace)) => {
                    self.named.push(workspace);
                    self.enter(&keyspace, at)?;
                }
                Some(DatabaseTarget::Keyspace(keyspace)) => {
                    let logical = matches!(keyspace.layout, Layout::DatabasePerWorkspace(_));
                    self.enter(&keyspace, at)?;
                    if logical {
                        let detail = format!("`{name}` is no database of a server");
                        return Err(Refusal::because(Code::UnreadStatement, detail).at(at));
                    }
                }
            }
        }
        Ok(())
    }
}
