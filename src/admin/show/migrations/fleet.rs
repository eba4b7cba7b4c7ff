//! Fleet migrations: their lines in `SHOW MIGRATIONS`, and `SHOW MIGRATION … '<id>'` with its parts.

use std::time::{Duration, UNIX_EPOCH};

use super::super::super::context::AdminContext;
use super::super::super::table::{AdminAnswer, AdminTable, AdminValue, ColumnKind};
use super::super::super::words::Words;
use super::super::tail;
use crate::drain::utc;
use crate::error::{ClientError, Code};
use crate::ids::{ClusterName, MigrationId};
use crate::migrations::fleet::ledger::{Counts, Kind, Moment, Pace, Phase};
use crate::migrations::fleet::live::{DatabaseFilter, DatabaseRow, FleetRow, FleetStatus};
use crate::migrations::fleet::schedule::{Closed, LaneStatus, Stage};

/// Databases of one list, unless told.
const DATABASES_SHOWN: u64 = 100;
/// Databases of one list, at most.
const DATABASES_MAX: u64 = 10_000;

/// One line of `SHOW MIGRATIONS`.
pub(super) fn line(row: &FleetRow) -> Vec<AdminValue> {
    let (counts, null) = (&row.counts, AdminValue::Null);
    vec![
        AdminValue::text(&row.id),
        "fleet".into(),
        null.clone(),
        AdminValue::text(&row.keyspace),
        row.tables.join(", ").into(),
        row.phase.word().into(),
        stage(row).into(),
        AdminValue::Fraction(row.share() * 100.0),
        counts.over().into(),
        counts.total().into(),
        null.clone(),
        null.clone(),
        eta(row),
        null.clone(),
        AdminValue::optional(row.waits_for.clone()),
        null,
        AdminValue::text(&row.user),
        utc(row.submitted).into(),
        row.statement.as_str().into(),
    ]
}

fn eta(row: &FleetRow) -> AdminValue {
    row.remaining.filter(|_| !row.is_over()).map_or(AdminValue::Null, |left| left.as_secs().into())
}

/// What it does, in a word.
fn stage(row: &FleetRow) -> &'static str {
    match &row.stage {
        Stage::Queued { .. } => "queued",
        Stage::Planning { .. } => "planning",
        Stage::Working => "working",
        Stage::Soaking { .. } => "soaking",
        Stage::WaitsForLater => "waits_for_later",
        Stage::Still => "still",
    }
}

/// `SHOW MIGRATION '<id>'` of a fleet migration: everything that is known of the whole, a line each.
pub(super) fn facts(status: &FleetStatus) -> AdminTable {
    let mut table = AdminTable::new([("name", ColumnKind::Text), ("value", ColumnKind::Text)]);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.push([name.into(), value.into()]);
        }
    };
    let row = &status.row;
    add("id", Some(row.id.to_string()));
    add("kind", Some("fleet".to_owned()));
    add("keyspace", Some(row.keyspace.to_string()));
    add("tables", Some(row.tables.join(", ")));
    add("statement", Some(row.statement.clone()));
    add("user", Some(row.user.to_string()));
    add("state", Some(row.phase.word().to_owned()));
    add("step", Some(stage(row).to_owned()));
    add("by", by(&row.phase));
    add("waits_for", row.waits_for.clone());
    add("wave", Some((u32::from(row.wave) + 1).to_string()));
    add("wave_name", Some(row.wave_name.clone()));
    add("waves", Some(row.waves.to_string()));
    add("databases", Some(row.counts.total().to_string()));
    add("over", Some(row.counts.over().to_string()));
    add("percent", Some(format!("{:.1}", row.share() * 100.0)));
    for kind in Kind::ALL {
        add(kind.word(), Some(row.counts.of(kind).to_string()));
    }
    for (why, count) in &status.later {
        add(&format!("later_{why}"), Some(count.to_string()));
    }
    add("databases_per_s", Some(format!("{:.1}", row.per_second)));
    add("eta_s", row.remaining.filter(|_| !row.is_over()).map(|left| left.as_secs().to_string()));
    add("pace", status.pace.as_ref().map(pace));
    add("definitions", row.is_mixed.then(|| "both in use: running code has to cope with both".to_owned()));
    add("reverts", row.reverts.as_ref().map(ToString::to_string));
    add("submitted", Some(utc(row.submitted)));
    add("ended", row.ended.map(utc));
    table
}

fn by(phase: &Phase) -> Option<String> {
    match phase {
        Phase::Paused { by } | Phase::Cancelled { by } => Some(by.to_string()),
        Phase::Active | Phase::Stopped { .. } | Phase::Refused { .. } | Phase::Finished => None,
    }
}

/// A pace in words.
fn pace(pace: &Pace) -> String {
    format!("{} at once, {} statements a second, on each cluster", pace.at_once, pace.statements_per_second)
}

/// The counts by kind, as columns.
fn kinds() -> impl Iterator<Item = (&'static str, ColumnKind)> {
    Kind::ALL.iter().map(|kind| (kind.word(), ColumnKind::Number))
}

fn counted(counts: &Counts) -> impl Iterator<Item = AdminValue> + '_ {
    Kind::ALL.iter().map(|kind| counts.of(*kind).into())
}

/// `SHOW MIGRATION WAVES '<id>'`.
fn waves(status: &FleetStatus) -> AdminTable {
    use ColumnKind::{Number, Text};
    let own = [
        ("wave", Number),
        ("name", Text),
        ("state", Text),
        ("databases", Number),
        ("over", Number),
        ("soak_s", Number),
        ("failures_max", Number),
    ];
    let mut table = AdminTable::new(own.into_iter().chain(kinds()));
    for (at, wave) in (0_u16..).zip(&status.waves) {
        let state = match at.cmp(&status.row.wave) {
            _ if status.row.is_over() => "over",
            std::cmp::Ordering::Less => "over",
            std::cmp::Ordering::Equal => "current",
            std::cmp::Ordering::Greater => "to_come",
        };
        let mut line: Vec<AdminValue> = vec![
            (u32::from(at) + 1).into(),
            wave.wave.name.as_str().into(),
            state.into(),
            wave.counts.total().into(),
            wave.counts.over().into(),
            wave.wave.soak().as_secs().into(),
            wave.wave.failures_max.into(),
        ];
        line.extend(counted(&wave.counts));
        table.push(line);
    }
    table
}

/// Columns of a cluster's lane.
const LANE: [(&str, ColumnKind); 8] = [
    ("cluster", ColumnKind::Text),
    ("lane", ColumnKind::Text),
    ("share", ColumnKind::Fraction),
    ("at_once", ColumnKind::Number),
    ("statements_per_s", ColumnKind::Fraction),
    ("occupied", ColumnKind::Number),
    ("foreign", ColumnKind::Number),
    ("worse", ColumnKind::Text),
];

fn lane(lane: &LaneStatus) -> [AdminValue; 8] {
    [
        AdminValue::text(&lane.cluster),
        lane.closed.as_ref().map_or("open".to_owned(), closed).into(),
        AdminValue::Fraction(lane.share),
        lane.at_once.into(),
        AdminValue::Fraction(lane.statements_per_second),
        lane.occupied.into(),
        lane.foreign.into(),
        AdminValue::optional(lane.worse.map(str::to_owned)),
    ]
}

fn closed(why: &Closed) -> String {
    format!("closed: {}", why.words())
}

/// `SHOW DDL LANES`: what each cluster bears of schema changes of fleet migrations.
pub(in crate::admin::show) fn lanes(context: &AdminContext) -> AdminTable {
    let mut table = AdminTable::new(LANE);
    context.fleet.lanes().iter().for_each(|status| table.push(lane(status)));
    table
}

/// `SHOW MIGRATION CLUSTERS '<id>'`.
fn clusters(status: &FleetStatus) -> AdminTable {
    let own = [("databases", ColumnKind::Number), ("over", ColumnKind::Number)];
    let mut table = AdminTable::new(LANE.into_iter().chain(own).chain(kinds()));
    for cluster in &status.clusters {
        let counts = cluster.counts();
        let mut line = Vec::from(lane(&cluster.lane));
        line.extend([counts.total().into(), counts.over().into()]);
        line.extend(counted(&counts));
        table.push(line);
    }
    table
}

/// `SHOW MIGRATION WAVES '<id>'`, `CLUSTERS '<id>'`, `DATABASES '<id>' …`; `None` when it is none of them.
pub(in crate::admin) async fn parts(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Option<Result<AdminAnswer, ClientError>> {
    let part: fn(&FleetStatus) -> AdminTable = if words.take_all(&["SHOW", "MIGRATION", "WAVES"]) {
        waves
    } else if words.take_all(&["SHOW", "MIGRATION", "CLUSTERS"]) {
        clusters
    } else if words.take_all(&["SHOW", "MIGRATION", "DATABASES"]) {
        return Some(databases(words, context).await);
    } else {
        return None;
    };
    Some(take_fleet(words, context).and_then(|status| {
        let table = tail::apply(words, part(&status))?;
        Ok(AdminAnswer::Rows(table))
    }))
}

/// Takes the id of a fleet migration that is there.
pub(in crate::admin) fn take_fleet(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<FleetStatus, ClientError> {
    let id = MigrationId::new(words.name("a fleet migration's id (SHOW MIGRATIONS)")?);
    let unknown = || ClientError::new(Code::AdminNotFound, format!("no fleet migration {id}"));
    context.fleet.status(&id).ok_or_else(unknown)
}

async fn databases(words: &mut Words<'_>, context: &AdminContext) -> Result<AdminAnswer, ClientError> {
    let status = take_fleet(words, context)?;
    let filter = filter(words)?;
    let rows = context.fleet.databases(&status.row.id, &filter).await?;
    Ok(AdminAnswer::Rows(database_table(&rows)))
}

/// `[STATE <state>] [ON <cluster>] [SKIP <n>] [LIMIT <n>]`, in any order.
fn filter(words: &mut Words<'_>) -> Result<DatabaseFilter, ClientError> {
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut filter = DatabaseFilter { limit: whole(DATABASES_SHOWN), ..DatabaseFilter::default() };
    while !words.is_done() {
        if words.take("STATE") {
            let expected = words.expected("a database's state: waiting, running, failed, drifted, …");
            let word = words.name("a database's state")?;
            let kind = Kind::ALL.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(&word));
            filter.kind = Some(kind.ok_or(expected)?);
        } else if words.take("ON") {
            filter.cluster = Some(ClusterName::new(words.name("a cluster (SHOW CLUSTERS)")?));
        } else if words.take("SKIP") {
            filter.skip = whole(words.number("a number of databases")?);
        } else if words.take("LIMIT") {
            filter.limit = whole(words.number("a number of databases")?.min(DATABASES_MAX));
        } else {
            return Err(words.expected("STATE, ON, SKIP or LIMIT"));
        }
    }
    Ok(filter)
}

fn database_table(rows: &[DatabaseRow]) -> AdminTable {
    use ColumnKind::{Fraction, Number, Text};
    let mut table = AdminTable::new([
        ("database", Text),
        ("workspace", Text),
        ("shard", Text),
        ("cluster", Text),
        ("wave", Number),
        ("state", Text),
        ("attempts", Number),
        ("took_s", Fraction),
        ("ended", Text),
        ("error", Text),
    ]);
    for row in rows {
        let record = &row.record;
        let took = record.began.zip(record.ended).map(|(began, ended)| ended.since(began));
        table.push([
            row.database.as_str().into(),
            row.workspace.as_ref().map_or(AdminValue::Null, AdminValue::text),
            AdminValue::text(&row.shard),
            AdminValue::text(&row.cluster),
            (u32::from(row.wave) + 1).into(),
            record.standing.kind().word().into(),
            u32::from(record.attempts).into(),
            took.map_or(AdminValue::Null, |took| AdminValue::Fraction(took.as_secs_f64())),
            AdminValue::optional(record.ended.map(at)),
            AdminValue::optional(record.failure.as_ref().map(|failure| failure.message.clone())),
        ]);
    }
    table
}

fn at(moment: Moment) -> String {
    utc(UNIX_EPOCH + Duration::from_millis(moment.0))
}
