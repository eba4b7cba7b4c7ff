//! `bulkhead ddl headroom`: room of one database's integer columns.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::live::DatabaseArgs;
use super::{put, read_file};
use crate::ddl::{Danger, Room, SchemaFacts, judge};
use crate::schema::read_facts;

/// What is looked at, and how it is told.
#[derive(Debug, Args)]
pub(in crate::server) struct HeadroomArgs {
    /// The database.
    #[command(flatten)]
    database: DatabaseArgs,
    /// The JSON output of an earlier run, for the days that are left.
    #[arg(long, value_name = "FILE")]
    earlier: Option<PathBuf>,
    /// Shows every column, not only those that are to be told of.
    #[arg(long)]
    all: bool,
    /// How it is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: HeadroomFormat,
}

/// How rooms are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HeadroomFormat {
    /// A line for each column.
    Table,
    /// One JSON object, which a later run takes as --earlier.
    Json,
    /// Metrics, for a textfile collector.
    Prometheus,
}

/// A sample and what it comes to.
#[derive(Serialize)]
struct Report<'a> {
    facts: &'a SchemaFacts,
    rooms: &'a [Room],
}

/// The part of a report that a later run needs.
#[derive(Deserialize)]
struct Sample {
    facts: SchemaFacts,
}

/// Runs the command: true when something is near its end (a warning or worse).
pub(super) fn run(args: &HeadroomArgs) -> Result<bool, String> {
    let earlier = args.earlier.as_deref().map(read_sample).transpose()?;
    let facts = super::block_on(async {
        let mut reader = args.database.open().await?;
        let facts = read_facts(&mut reader).await.map_err(|error| error.to_string())?;
        reader.close().await;
        Ok(facts)
    })?;
    let rooms = judge(&facts, earlier.as_ref());
    let is_near = rooms.iter().any(|room| room.danger >= Danger::Warning);
    let shown: Vec<Room> = rooms.into_iter().filter(|room| args.all || room.danger > Danger::None).collect();
    let text = match args.format {
        HeadroomFormat::Table => table(&facts, &shown),
        HeadroomFormat::Json => {
            let report = Report { facts: &facts, rooms: &shown };
            serde_json::to_string_pretty(&report).map_err(|error| error.to_string())? + "\n"
        }
        HeadroomFormat::Prometheus => metrics(&facts.database, &shown),
    };
    put(&text)?;
    Ok(is_near)
}

fn read_sample(path: &Path) -> Result<SchemaFacts, String> {
    let text = read_file(path)?;
    let sample: Sample =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(sample.facts)
}

fn table(facts: &SchemaFacts, rooms: &[Room]) -> String {
    let mut out = String::new();
    let (columns, shown) = (facts.columns.len(), rooms.len());
    let _ = writeln!(out, "{}: {columns} integer columns, {shown} to tell of", facts.database);
    for room in rooms {
        let name = if room.column.is_empty() {
            room.table.clone()
        } else {
            format!("{}.{}", room.table, room.column)
        };
        let share = room.share.map_or("?".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let _ = write!(out, "{:<8} {share:>8}  {name}  {}", room.danger.word(), room.type_name);
        if let (Some(used), Some(source)) = (room.used, &room.source) {
            let _ = write!(out, "  {used} of {} ({})", room.limit, source.words());
        }
        if let Some(days) = room.days_left {
            let _ = write!(out, "  {days:.0} days left");
        }
        if let Some(mismatch) = &room.mismatch {
            let how = if mismatch.by_foreign_key { "by foreign key" } else { "by name" };
            let _ = write!(out, "  refers to {} {} {how}", mismatch.parent_type, mismatch.parent);
        }
        out.push('\n');
    }
    out
}

fn metrics(database: &str, rooms: &[Room]) -> String {
    let mut out = String::from(
        "# HELP bulkhead_integer_used_ratio Share of an integer column's range that is used.\n\
         # TYPE bulkhead_integer_used_ratio gauge\n",
    );
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels = |room: &Room| {
        let (database, table, column) = (escape(database), escape(&room.table), escape(&room.column));
        format!("database=\"{database}\",table=\"{table}\",column=\"{column}\"")
    };
    for room in rooms {
        if let Some(share) = room.share {
            let _ = writeln!(out, "bulkhead_integer_used_ratio{{{}}} {share:.6}", labels(room));
        }
    }
    out.push_str(
        "# HELP bulkhead_integer_days_left Days until an integer column's range is used up.\n\
         # TYPE bulkhead_integer_days_left gauge\n",
    );
    for room in rooms {
        if let Some(days) = room.days_left {
            let _ = writeln!(out, "bulkhead_integer_days_left{{{}}} {days:.1}", labels(room));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::IntegerColumn;

    fn facts(next: u64) -> SchemaFacts {
        let column = IntegerColumn {
            table: "t\"x".to_owned(),
            column: "id".to_owned(),
            bytes: 4,
            unsigned: false,
            counter: Some(next),
            sequence: None,
            largest: Some(-5),
            smallest: Some(i128::from(i32::MIN)),
            is_key: true,
            is_polymorphic: false,
        };
        SchemaFacts { database: "ws_1".into(), columns: vec![column], ..SchemaFacts::default() }
    }

    #[test]
    fn a_report_is_read_back_as_a_sample() {
        let facts = facts(u64::from(u32::MAX));
        let rooms = judge(&facts, None);
        let text = serde_json::to_string_pretty(&Report { facts: &facts, rooms: &rooms }).unwrap();
        let sample: Sample = serde_json::from_str(&text).unwrap();
        assert_eq!(sample.facts, facts);
    }

    #[test]
    fn rooms_are_told_in_lines_and_in_metrics() {
        let facts = facts(2_000_000_001);
        let rooms = judge(&facts, None);
        let text = table(&facts, &rooms);
        assert!(text.starts_with("ws_1: 1 integer columns, 1 to tell of\ncritical"), "{text}");
        assert!(text.contains("2000000000 of 2147483647 (AUTO_INCREMENT)"), "{text}");
        let text = metrics("ws_1", &rooms);
        assert!(text.contains("{database=\"ws_1\",table=\"t\\\"x\",column=\"id\"} 1.000000\n"), "{text}");
    }
}
