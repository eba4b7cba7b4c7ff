//! Schema changes and other statements that name tables outside of queries: to one database, or refused.

use crate::error::Code;
use crate::sql::{
    DdlObject, DdlStatement, DdlVerb, FlushStatement, LoadStatement, LockedTable, ObjectName,
    TableAdminStatement, TableAdminVerb,
};
use crate::vschema::{DatabaseTarget, Layout};

use super::whole::{check_case, qualifiers, token_numbers};
use super::{PlanInput, not_supported};
use crate::plan::names::unknown_database;
use crate::plan::route::{DatabaseRoute, Plan, Route};
use crate::plan::{Effects, Pins, Refusal};

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
    let route = one_database(&names_of(statement), Code::WideDdl, input)?;
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
    Ok(input.plan(false, route, effects))
}

fn names_of(statement: &DdlStatement) -> Vec<&ObjectName> {
    statement.objects.iter().chain(&statement.others).collect()
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
    Ok(input.plan(false, route, effects))
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
    Ok(input.plan(reads, route, effects))
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
    let mut found = Found::default();
    for name in names {
        found.add(name, input)?;
    }
    if found.unqualified {
        let session = input.names().session_keyspace().cloned();
        let keyspace = session.ok_or_else(|| Refusal::new(Code::NoDatabaseSelected))?;
        found.enter(&keyspace, names.first().map_or(0, |name| name.span().start as usize))?;
    }
    found.check_rest(input)?;
    let Some(keyspace) = found.keyspace else { return Err(Refusal::new(Code::NoDatabaseSelected)) };
    match keyspace.layout {
        Layout::Unsharded => Ok(Route::Unsharded(keyspace.name.clone())),
        Layout::SharedTables => {
            let at = names.first().map_or(0, |name| name.span().start as usize);
            Err(Refusal::new(shared).at(at))
        }
        Layout::DatabasePerWorkspace(_) => Ok(Route::Database(DatabaseRoute {
            keyspace,
            named: found.named,
            unnamed: found.unqualified || !found.logical.is_empty(),
            logical: token_numbers(input, &found.logical)?,
        })),
    }
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
