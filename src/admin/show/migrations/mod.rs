//! `SHOW MIGRATIONS` and `SHOW MIGRATION '<id>'`: of one table, and of a fleet of databases (`fleet`).

mod fleet;

use std::time::{Duration, SystemTime};

use super::super::context::AdminContext;
use super::super::table::{AdminAnswer, AdminTable, AdminValue, ColumnKind};
use super::super::words::{Word, Words};
use crate::drain::utc;
use crate::error::{ClientError, Code};
use crate::ids::MigrationId;
use crate::migrations::fleet::live::FleetStatus;
use crate::migrations::{MigrationRow, State};

pub(in crate::admin::show) use self::fleet::lanes;
pub(in crate::admin) use self::fleet::{parts, take_fleet};

/// Every migration, newest first.
pub(in crate::admin::show) fn migrations(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Fraction, Number, Text};
    let mut table = AdminTable::new([
        ("id", Text),
        ("kind", Text),
        ("cluster", Text),
        ("database", Text),
        ("table", Text),
        ("state", Text),
        ("step", Text),
        ("percent", Fraction),
        ("done", Number),
        ("total", Number),
        ("rows_copied", Number),
        ("rows_per_s", Fraction),
        ("eta_s", Number),
        ("behind_s", Fraction),
        ("waits_for", Text),
        ("attempts", Number),
        ("user", Text),
        ("submitted", Text),
        ("statement", Text),
    ]);
    let fleets = context.fleet.rows().into_iter().map(|row| (row.submitted, fleet::line(&row)));
    let copies = context.migrations.rows().into_iter().map(|row| (row.submitted, line(&row)));
    let mut lines: Vec<_> = fleets.chain(copies).collect();
    // Each kind comes in order; where two came in the same moment a fleet migration is shown first.
    lines.sort_by_key(|(submitted, _)| std::cmp::Reverse(*submitted));
    lines.into_iter().for_each(|(_, line)| table.push(line));
    table
}

fn line(row: &MigrationRow) -> Vec<AdminValue> {
    let progress = &row.progress;
    vec![
        AdminValue::text(&row.id),
        "copy".into(),
        AdminValue::text(&row.cluster),
        row.database.as_str().into(),
        row.table.as_str().into(),
        row.state.name().into(),
        row.step.into(),
        AdminValue::Fraction(percent(row)),
        u32::from(row.state == State::Done).into(),
        1_u32.into(),
        progress.rows_copied.into(),
        AdminValue::Fraction(progress.rows_per_second),
        progress.remaining().filter(|_| !row.state.is_over()).map_or(AdminValue::Null, whole_seconds),
        progress.behind.map_or(AdminValue::Null, seconds),
        AdminValue::optional(waits_for(row)),
        row.attempts.into(),
        AdminValue::text(&row.user),
        utc(row.submitted).into(),
        row.statement.as_str().into(),
    ]
}

/// `SHOW MIGRATION '<id>'`: everything that is known of one, a line each.
pub(in crate::admin) fn migration(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    if let Some(status) = fleet_next(words, context) {
        words.name("a migration's id (SHOW MIGRATIONS)")?;
        words.end()?;
        return Ok(AdminAnswer::Rows(fleet::facts(&status)));
    }
    let row = take_migration(words, context)?;
    words.end()?;
    let mut table = AdminTable::new([("name", ColumnKind::Text), ("value", ColumnKind::Text)]);
    for (name, value) in facts(&row) {
        if let Some(value) = value {
            table.push([name.into(), value.into()]);
        }
    }
    Ok(AdminAnswer::Rows(table))
}

/// The fleet migration whose id is next, if it is one's.
pub(in crate::admin) fn fleet_next(words: &Words<'_>, context: &AdminContext) -> Option<FleetStatus> {
    let (Word::Plain(id) | Word::Quoted(id)) = words.peek()? else { return None };
    context.fleet.status(&MigrationId::new(id.as_str()))
}

/// Takes the id of a migration that is there.
pub(in crate::admin) fn take_migration(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<MigrationRow, ClientError> {
    let id = MigrationId::new(words.name("a migration's id (SHOW MIGRATIONS)")?);
    context
        .migrations
        .row(&id)
        .ok_or_else(|| ClientError::new(Code::AdminNotFound, format!("no migration {id}")))
}

fn facts(row: &MigrationRow) -> Vec<(&'static str, Option<String>)> {
    let progress = &row.progress;
    let yes = |is_so: bool| is_so.then(|| "yes".to_owned());
    let at = |at: Option<SystemTime>| at.map(utc);
    vec![
        ("id", Some(row.id.to_string())),
        ("cluster", Some(row.cluster.to_string())),
        ("table", Some(format!("{}.{}", row.database, row.table))),
        ("statement", Some(row.statement.clone())),
        ("user", Some(row.user.to_string())),
        ("state", Some(row.state.name().to_owned())),
        ("step", Some(row.step.to_owned())),
        ("waits_for", waits_for(row)),
        ("percent", Some(format!("{:.1}", percent(row)))),
        ("rows_copied", Some(progress.rows_copied.to_string())),
        ("rows_estimated", Some(progress.rows_estimated.to_string())),
        ("rows_per_s", Some(format!("{:.0}", progress.rows_per_second))),
        ("changes_applied", Some(progress.changes_applied.to_string())),
        ("behind_ms", progress.behind.map(|behind| behind.as_millis().to_string())),
        ("compared_percent", progress.compared.map(|share| format!("{:.1}", share * 100.0))),
        (
            "eta_s",
            progress.remaining().filter(|_| !row.state.is_over()).map(|left| left.as_secs().to_string()),
        ),
        ("attempts", Some(row.attempts.to_string())),
        ("verify_held_ms", row.verify_held.map(ms)),
        ("swap_ms", row.swap_took.map(ms)),
        ("carried_out_by", row.owner.clone()),
        ("submitted", Some(utc(row.submitted))),
        ("swapped", at(row.swapped)),
        ("ended", at(row.ended)),
        ("old_table_kept_until", at(row.retires)),
        ("reverts", row.reverts.as_ref().map(ToString::to_string)),
        ("acknowledged", yes(row.acknowledged)),
        ("message", row.message.clone()),
    ]
}

/// Of the rows, by the server's estimate; a migration that is done has all of them.
fn percent(row: &MigrationRow) -> f64 {
    if row.state == State::Done { 100.0 } else { row.progress.share() * 100.0 }
}

fn waits_for(row: &MigrationRow) -> Option<String> {
    if row.state.is_over() {
        return row.message.clone();
    }
    row.throttled.clone().or_else(|| row.message.clone())
}

fn ms(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
}

fn seconds(duration: Duration) -> AdminValue {
    AdminValue::Fraction(duration.as_secs_f64())
}

fn whole_seconds(duration: Duration) -> AdminValue {
    duration.as_secs().into()
}
