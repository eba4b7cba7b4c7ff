//! Operators' commands: written into the record, where whoever carries the migration out finds them.

use std::time::{Duration, SystemTime};

use super::error::{CommandError, SubmitError};
use super::ledger::{NotBegun, Orders, Record, new_id};
use super::request::Command;
use super::retire;
use super::run::Step;
use super::service::Migrations;
use super::view::State;
use crate::ids::{MigrationId, UserName};

/// Longest throttling by hand.
const THROTTLE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Does what is asked; in words, what was done.
pub(super) async fn follow(
    migrations: &Migrations,
    id: &MigrationId,
    command: Command,
    by: &UserName,
) -> Result<String, CommandError> {
    let record = migrations.shared().ledger.get(id).ok_or_else(|| CommandError::NotFound(id.clone()))?;
    if !is_possible(command, record.state) {
        return Err(CommandError::NotNow { id: id.clone(), state: record.state, command });
    }
    let done = match command {
        Command::Retry => retry(migrations, id).await?,
        Command::Revert => {
            let new = revert(migrations, &record, by).await?;
            format!("migration {new} puts the old table of migration {id} back")
        }
        Command::Retire => retire(migrations, &record).await?,
        _ => {
            let now = SystemTime::now();
            let changed = migrations.shared().ledger.update(id, |record| {
                // It may have ended between the look and the write.
                if is_possible(command, record.state) {
                    give(&mut record.orders, command, by, now);
                }
            });
            changed.await?.ok_or_else(|| CommandError::NotFound(id.clone()))?;
            format!("migration {id}: {}", said(command))
        }
    };
    tracing::info!(%id, command = command.word(), %by, "an operator's command about a migration");
    Ok(done)
}

/// Begins the migration that takes a finished one back; its id.
pub(super) async fn take_back(
    migrations: &Migrations,
    id: &MigrationId,
    by: &UserName,
) -> Result<MigrationId, CommandError> {
    let record = migrations.shared().ledger.get(id).ok_or_else(|| CommandError::NotFound(id.clone()))?;
    if !is_possible(Command::Revert, record.state) {
        return Err(CommandError::NotNow { id: id.clone(), state: record.state, command: Command::Revert });
    }
    let new = revert(migrations, &record, by).await?;
    tracing::info!(%id, reverted_by = %new, %by, "a migration is taken back");
    Ok(new)
}

/// Says whether a command means something in a state.
fn is_possible(command: Command, state: State) -> bool {
    match command {
        Command::Retry => matches!(state, State::Failed | State::Cancelled),
        Command::Revert | Command::Retire => state == State::Done,
        // Once an exchange is under way it ends by itself, in seconds; an unknown end can be given up.
        Command::Cancel => !state.is_over(),
        Command::Pause
        | Command::Resume
        | Command::Throttle(_)
        | Command::CutOver
        | Command::ForceCutOver
        | Command::Postpone => !state.is_over() && state != State::Unknown,
    }
}

fn give(orders: &mut Orders, command: Command, by: &UserName, now: SystemTime) {
    match command {
        Command::Pause => orders.is_paused = true,
        Command::Resume => (orders.is_paused, orders.throttled_until) = (false, None),
        Command::Throttle(period) => orders.throttled_until = Some(now + period.min(THROTTLE_MAX)),
        Command::Cancel => orders.cancelled_by = Some(by.clone()),
        Command::CutOver => orders.is_postponed = false,
        Command::ForceCutOver => (orders.is_postponed, orders.is_forced) = (false, true),
        Command::Postpone => orders.is_postponed = true,
        Command::Retry | Command::Revert | Command::Retire => {}
    }
}

fn said(command: Command) -> &'static str {
    match command {
        Command::Pause => "pauses at the next chunk",
        Command::Resume => "goes on",
        Command::Throttle(_) => "copies nothing for that time",
        Command::Cancel => "ends, unless its tables are exchanged already",
        Command::CutOver => "exchanges its tables once they are equal",
        Command::ForceCutOver => "exchanges its tables once they are equal, and ends who holds the table",
        Command::Postpone => "does not exchange its tables until told",
        Command::Retry | Command::Revert | Command::Retire => "done",
    }
}

async fn retry(migrations: &Migrations, id: &MigrationId) -> Result<String, CommandError> {
    let begun = migrations.shared().ledger.claim_again(id, |record| {
        let request = record.request.clone();
        let fresh = Record::new(record.id.clone(), request, record.submitted);
        let reverts = record.reverts.clone();
        *record = Record { reverts, ..fresh };
    });
    match begun.await {
        Ok(()) => Ok(format!("migration {id} begins again")),
        Err(NotBegun::Busy(id)) => Err(SubmitError::Busy { id }.into()),
        Err(NotBegun::Store(error)) => Err(error.into()),
    }
}

/// Begins the migration that takes one back; its id.
async fn revert(
    migrations: &Migrations,
    record: &Record,
    by: &UserName,
) -> Result<MigrationId, CommandError> {
    let has_position = record.kept.as_ref().is_some_and(|kept| kept.position.is_some());
    if !has_position {
        return Err(CommandError::NoOldTable(record.id.clone()));
    }
    let now = SystemTime::now();
    let mut request = record.request.clone();
    (request.user, request.postponed) = (by.clone(), false);
    let reverting = Record { reverts: Some(record.id.clone()), ..Record::new(new_id(now), request, now) };
    Ok(migrations.begin(reverting).await?)
}

async fn retire(migrations: &Migrations, record: &Record) -> Result<String, CommandError> {
    if record.kept.is_none() || record.step != Step::Retire {
        return Err(CommandError::NoOldTable(record.id.clone()));
    }
    retire::retire_soon(migrations.shared(), &record.id).await?;
    Ok(format!("the old table of migration {} is dropped", record.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_states() {
        let commands = [
            Command::Pause,
            Command::Resume,
            Command::Throttle(Duration::from_secs(1)),
            Command::Cancel,
            Command::CutOver,
            Command::ForceCutOver,
            Command::Postpone,
            Command::Retry,
            Command::Revert,
            Command::Retire,
        ];
        for state in State::ALL {
            let possible: Vec<_> =
                commands.iter().filter(|c| is_possible(**c, state)).map(|c| c.word()).collect();
            match state {
                State::Done => assert_eq!(possible, ["revert", "retire"]),
                State::Failed | State::Cancelled => assert_eq!(possible, ["retry"]),
                State::Unknown => assert_eq!(possible, ["cancel"]),
                _ => assert_eq!(possible.len(), 7, "{state:?}"),
            }
        }
    }

    #[test]
    fn orders_are_kept_until_they_are_taken_back() {
        let now = SystemTime::UNIX_EPOCH;
        let by = UserName::new("op");
        let mut orders = Orders::default();
        for command in [Command::Pause, Command::Throttle(Duration::from_secs(9)), Command::Postpone] {
            give(&mut orders, command, &by, now);
        }
        assert!(orders.is_paused && orders.is_postponed && orders.throttled_until.is_some());
        give(&mut orders, Command::Resume, &by, now);
        assert!(!orders.is_paused && orders.is_postponed && orders.throttled_until.is_none());
        give(&mut orders, Command::ForceCutOver, &by, now);
        assert!(!orders.is_postponed && orders.is_forced);
        give(&mut orders, Command::Cancel, &by, now);
        assert_eq!(orders.cancelled_by, Some(by));
    }
}
