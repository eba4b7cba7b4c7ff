//! Commands about one migration: `PAUSE MIGRATION '<id>'` and its kin.

use std::time::Duration;

use super::super::context::AdminContext;
use super::super::show::take_migration;
use super::super::table::AdminAnswer;
use super::super::words::Words;
use super::done;
use crate::error::ClientError;
use crate::migrations::Command;

/// Reads a command about a migration and gives it; `None` when the statement is none.
pub(in crate::admin) async fn migration(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Option<Result<AdminAnswer, ClientError>> {
    let command = if words.take_all(&["PAUSE", "MIGRATION"]) {
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
