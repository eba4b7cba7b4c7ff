//! `bulkhead schema drift`: databases grouped by what their tables are like.
//!
//! Asks the primaries, one database at a time, slowly enough that nobody notices: SHOW CREATE TABLE on a few
//! connections, so many a second. Nothing here reads `information_schema` across databases but their names, a
//! part at a time. Changes nothing.

mod read;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::read::{Home, Pace, Source, Survey};
use super::cli::ConfigArgs;
use crate::ids::ClusterName;
use crate::migrations::fleet::definition::{self, Drift, Groups, Seen};
use crate::vschema::check::{self, Checked};
use crate::vschema::{KeyspaceSchema, Layout};

/// What `bulkhead schema --help` ends with.
pub(super) const SCHEMA_HELP: &str = "\
Examples:
  bulkhead schema drift
  bulkhead schema drift workspaces --table issues --json";
const DRIFT_HELP: &str = "\
Examples:
  bulkhead schema drift workspaces
  bulkhead schema drift workspaces --table issues --table users --json
  bulkhead schema drift workspaces --like ws_1

Compares every table with the definition that most databases have, or with that of one database (--like), and
proposes the statement that repairs each group. Reads only; the statements are not run.
Ends with 0 when all databases are alike, 1 when some are not, 2 when some could not be read.";
/// Faults of clusters that are printed.
const FAULTS_MAX: usize = 20;

/// What there is to do with schemas.
#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Groups databases by their tables' definitions, shows the differences, proposes what repairs each.
    #[command(after_help = DRIFT_HELP)]
    Drift(DriftArgs),
}

/// Which databases are compared, and how fast they are read.
#[derive(Debug, Args)]
pub(super) struct DriftArgs {
    /// Where the config is.
    #[command(flatten)]
    config: ConfigArgs,
    /// The keyspace; all of them when left out.
    keyspace: Option<String>,
    /// Only this table; may be given several times.
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// The database whose tables are as they should be, instead of the definition that most have: ws_1, or
    /// c1/shop where the databases of several clusters have one name.
    #[arg(long, value_name = "DATABASE")]
    like: Option<String>,
    /// Connections to each cluster.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    at_once: u16,
    /// Tables that are read from each cluster in a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_second: u32,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// One keyspace, compared.
struct Report {
    keyspace: String,
    databases: BTreeMap<ClusterName, u32>,
    tables: Vec<Drift>,
    faults: Vec<String>,
}

/// Runs the command: 0 alike, 1 not, 2 something could not be read.
pub(super) fn run(command: SchemaCommand) -> ExitCode {
    let SchemaCommand::Drift(args) = command;
    let reports = match collect(&args) {
        Ok(reports) => reports,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let text = if args.json {
        let all: Vec<Value> = reports.iter().map(to_json).collect();
        format!("{}\n", json!({ "keyspaces": all }))
    } else {
        reports.iter().map(to_text).collect()
    };
    if let Err(error) = std::io::stdout().lock().write_all(text.as_bytes()) {
        eprintln!("the report cannot be written: {error}");
        return ExitCode::from(2);
    }
    let is_unread =
        |report: &Report| !report.faults.is_empty() || report.tables.iter().any(|drift| drift.unread.0 > 0);
    let has_drift = |report: &Report| report.tables.iter().any(|drift| drift.drifted() > 0);
    if reports.iter().any(is_unread) {
        ExitCode::from(2)
    } else if reports.iter().any(has_drift) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn collect(args: &DriftArgs) -> Result<Vec<Report>, String> {
    let (report, checked) = check::run(&args.config.config);
    let Some(checked) = checked else { return Err(report.to_text()) };
    let schemas: Vec<&KeyspaceSchema> = match &args.keyspace {
        None => checked.vschema.keyspaces().map(AsRef::as_ref).collect(),
        Some(name) => match checked.vschema.keyspace(name) {
            Some(schema) => vec![schema],
            None => return Err(format!("there is no keyspace {name}")),
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let mut reports = Vec::new();
    for schema in schemas {
        reports.push(runtime.block_on(compare(&checked, schema, args))?);
    }
    let is_found = args.like.is_none()
        || reports.iter().any(|report| report.tables.iter().any(|drift| drift.wanted.is_some()));
    if is_found {
        Ok(reports)
    } else {
        Err(format!("there is no database {}", args.like.clone().unwrap_or_default()))
    }
}

async fn compare(checked: &Checked, schema: &KeyspaceSchema, args: &DriftArgs) -> Result<Report, String> {
    let pace = Pace { at_once: usize::from(args.at_once), per_second: args.per_second };
    let homes = homes(checked, schema);
    let survey = read::read(homes, &args.tables, args.like.as_deref(), pace).await;
    let Survey { mut tables, sets, databases, faults, mut like, models } = survey;
    if let (Some(name), [first, _, ..]) = (&args.like, &*Vec::from_iter(models)) {
        return Err(format!("several clusters have a database {name}: say which, as {first}/{name}"));
    }
    // A database without a table that others have.
    for table in args.tables.iter().cloned().chain(tables.keys().cloned()).collect::<Vec<_>>() {
        let groups = tables.entry(table.clone()).or_default();
        for (set, members) in &sets {
            if !set.contains(&table) {
                for (cluster, database) in members.names() {
                    groups.add(cluster, database, Seen::Missing);
                }
                members.unnamed().for_each(|(cluster, more)| groups.add_missing(cluster, more));
            }
        }
    }
    let report = |(table, groups): (&String, &Groups)| {
        let wanted = like.remove(table);
        match &args.like {
            // The database that is the model has no such table: nothing is wanted.
            Some(_) if wanted.is_none() => None,
            _ => Some(groups.report(table, wanted)),
        }
    };
    let drifts = tables.iter().filter_map(report).collect();
    Ok(Report { keyspace: schema.name.to_string(), databases, tables: drifts, faults })
}

/// Where the databases of a keyspace are.
fn homes(checked: &Checked, schema: &KeyspaceSchema) -> Vec<Home> {
    let places = checked.config.keyspaces.get(&schema.name);
    let mut clusters: Vec<&ClusterName> =
        places.iter().flat_map(|places| &places.shards).map(|shard| &shard.cluster).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let home = |name: &&ClusterName| {
        let source = match &schema.layout {
            Layout::DatabasePerWorkspace(pattern) => Source::Pattern(pattern.clone()),
            _ => Source::One(schema.name.to_string()),
        };
        let cluster = Arc::new(checked.config.clusters.get(*name)?.clone());
        Some(Home { cluster, source, connect_max: checked.config.timeouts.connect })
    };
    clusters.iter().filter_map(home).collect()
}

fn to_text(report: &Report) -> String {
    let count: u32 = report.databases.values().sum();
    let mut out = format!("keyspace {}: {count} databases\n", report.keyspace);
    for drift in &report.tables {
        if drift.drifted() > 0 {
            out.push_str(&definition::to_text(drift));
        } else {
            let databases: u32 = drift.groups.iter().map(definition::DriftGroup::databases).sum();
            out.push_str(&format!("{}: {databases} databases, one definition\n", drift.table));
        }
    }
    for fault in report.faults.iter().take(FAULTS_MAX) {
        out.push_str(&format!("not read: {fault}\n"));
    }
    out
}

fn to_json(report: &Report) -> Value {
    json!({
        "keyspace": report.keyspace,
        "databases": report.databases,
        "tables": report.tables.iter().map(definition::to_json).collect::<Vec<_>>(),
        "faults": report.faults,
    })
}
