//! Commands about migrations: `PAUSE MIGRATION '<id>'` and its kin, of one table or of a fleet of databases.
//!
//! An id says which of the two it is. What only one of them knows is refused for the other.

mod submit;

use std::time::Duration;

use self::submit::PaceWords;
use super::super::context::AdminContext;
use super::super::show::{fleet_next, take_fleet, take_migration};
use super::super::table::AdminAnswer;
use super::super::words::Words;
use super::done;
use crate::error::{ClientError, Code};
use crate::ids::{MigrationId, WorkspaceId};
use crate::migrations::Command;
use crate::migrations::fleet::live::FleetStatus;
use crate::migrations::fleet::schedule::Command as FleetCommand;
use crate::vschema::Layout;

/// Reads a command about a migration and gives it; `None` when the statement is none.
pub(in crate::admin) async fn migration(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Option<Result<AdminAnswer, ClientError>> {
    let command = if words.take_all(&["SUBMIT", "MIGRATION"]) {
        return Some(submit::submit(words, context).await);
    } else if words.take_all(&["SKIP", "DATABASE"]) {
        return Some(skip(words, context, Named::Database).await);
    } else if words.take_all(&["SKIP", "WORKSPACE"]) {
        return Some(skip(words, context, Named::Workspace).await);
    } else if words.take_all(&["PACE", "MIGRATION"]) {
        return Some(pace(words, context).await);
    } else if words.take_all(&["PAUSE", "MIGRATION"]) {
        Command::Pause
    } else if words.take_all(&["RESUME", "MIGRATION"]) {
        Command::Resume
    } else if words.take_all(&["THROTTLE", "MIGRATION"]) {
        Command::Throttle(Duration::ZERO)
    } else if words.take_all(&["CANCEL", "MIGRATION"]) {
        Command::Cancel
    } else if words.take_all(&["CUT", "OVER", "MIGRATION"]) {
        Command::CutOver
    } else if words.take_all(&["POSTPONE", "MIGRATION"]) {
        Command::Postpone
    } else if words.take_all(&["RETRY", "MIGRATION"]) {
        Command::Retry
    } else if words.take_all(&["REVERT", "MIGRATION"]) {
        Command::Revert
    } else if words.take_all(&["RETIRE", "MIGRATION"]) {
        Command::Retire
    } else {
        return None;
    };
    Some(give(command, words, context).await)
}

async fn give(
    mut command: Command,
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    if let Some(status) = fleet_next(words, context) {
        words.name("a migration's id (SHOW MIGRATIONS)")?;
        let (id, orders, operator) = (&status.row.id, &context.fleet_orders, &context.operator);
        let command = for_fleets(id, command)?;
        words.end()?;
        return match command {
            Some(command) => done(1, orders.command(id, command, operator).await?),
            None => {
                let new = orders.revert(id, operator).await?;
                done(1, format!("fleet migration {new} takes back what {id} has changed"))
            }
        };
    }
    let row = take_migration(words, context)?;
    match &mut command {
        Command::Throttle(period) => {
            if !words.take("FOR") {
                return Err(words.expected("FOR <seconds>"));
            }
            *period = Duration::from_secs(words.number("a number of seconds")?);
        }
        Command::CutOver if words.take("FORCE") => command = Command::ForceCutOver,
        _ => {}
    }
    words.end()?;
    let said = context.migrations.command(&row.id, command, &context.operator).await?;
    done(1, said)
}

/// What a command means for a fleet migration; `None`: it is to be taken back.
///
/// # Errors
/// Only a migration of one table knows the command.
fn for_fleets(id: &MigrationId, command: Command) -> Result<Option<FleetCommand>, ClientError> {
    match command {
        Command::Pause => Ok(Some(FleetCommand::Pause)),
        Command::Resume => Ok(Some(FleetCommand::Resume)),
        Command::Cancel => Ok(Some(FleetCommand::Cancel)),
        Command::Retry => Ok(Some(FleetCommand::RetryFailed)),
        Command::Revert => Ok(None),
        Command::Throttle(_)
        | Command::CutOver
        | Command::ForceCutOver
        | Command::Postpone
        | Command::Retire => {
            let message = format!("{id} is a fleet migration: there is no {} for it", command.word());
            Err(ClientError::new(Code::FleetNotNow, message))
        }
    }
}

/// How a database is named.
#[derive(Clone, Copy)]
enum Named {
    Database,
    Workspace,
}

/// `SKIP DATABASE <database> OF MIGRATION '<id>'`, `SKIP WORKSPACE <id> OF MIGRATION '<id>'`.
async fn skip(
    words: &mut Words<'_>,
    context: &AdminContext,
    named: Named,
) -> Result<AdminAnswer, ClientError> {
    let name = words.name("a database or workspace")?;
    if !words.take_all(&["OF", "MIGRATION"]) {
        return Err(words.expected("OF MIGRATION '<id>'"));
    }
    let status = take_fleet(words, context)?;
    words.end()?;
    let database = match named {
        Named::Database => name,
        Named::Workspace => database_of(&name, &status, context)?,
    };
    let skip = FleetCommand::Skip { database };
    let said = context.fleet_orders.command(&status.row.id, skip, &context.operator).await?;
    done(1, said)
}

/// The database of a workspace of the migration's keyspace.
fn database_of(workspace: &str, status: &FleetStatus, context: &AdminContext) -> Result<String, ClientError> {
    let keyspace = &status.row.keyspace;
    let snapshot = context.snapshots.load();
    let layout = snapshot.vschema.keyspace(keyspace.as_str()).map(|schema| &schema.layout);
    let database = match (layout, WorkspaceId::parse(workspace)) {
        (Some(Layout::DatabasePerWorkspace(pattern)), Some(workspace)) => pattern.render(&workspace),
        _ => None,
    };
    let unknown = || format!("no database of a workspace {workspace} in keyspace {keyspace}");
    database.ok_or_else(|| ClientError::new(Code::AdminNotFound, unknown()))
}

/// `PACE MIGRATION '<id>' [AT ONCE <n>] [PER SECOND <n>] | OFF`.
async fn pace(words: &mut Words<'_>, context: &AdminContext) -> Result<AdminAnswer, ClientError> {
    let status = take_fleet(words, context)?;
    let mut asked = PaceWords::default();
    let is_off = words.take("OFF");
    while !is_off && asked.take(words)? {}
    let pace = asked.pace(status.pace);
    if !is_off && pace.is_none() {
        return Err(words.expected("AT ONCE <n>, PER SECOND <n> or OFF"));
    }
    words.end()?;
    let set = FleetCommand::SetPace(pace);
    let said = context.fleet_orders.command(&status.row.id, set, &context.operator).await?;
    done(1, said)
}
