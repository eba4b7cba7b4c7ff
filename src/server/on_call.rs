//! `bulkhead shard …` and `bulkhead incident …`: what an on-call types, by way of the admin port.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Args, Subcommand};
use mysql_async::Row;

use super::build;
use super::cli::{AdminLogin, ConfigArgs};
use super::commands::{self, Asked};
use crate::ids::{ClusterName, Keyspace, ShardName};

// What the commands' --help ends with.
const STATUS_HELP: &str = "\
Examples:
  bulkhead shard status
  bulkhead shard status c3
  bulkhead shard status --json";
const DRAIN_HELP: &str = "\
Examples:
  bulkhead shard drain c3 --why 'writes stall, see incident 217' --dry-run
  bulkhead shard drain workspaces/ws-c --why 'writes stall, see incident 217'

New writes are refused at once; transactions have 5 s, then what still writes is killed.
Reads go on. It stays so until `bulkhead shard undrain`.";
const UNDRAIN_HELP: &str = "\
Example:
  bulkhead shard undrain c3 --why 'the disk is replaced'

Writes are let in again a few at a time, twice as many every three seconds.";
const FAILOVER_HELP: &str = "\
Examples:
  bulkhead shard failover c3 --why 'it does not recover' --dry-run
  bulkhead shard failover c3 --to db32.example:3306 --why 'planned switchover'

--dry-run says which replica would be promoted, what could be lost, and in which steps.";
const FREEZE_HELP: &str = "\
Example:
  bulkhead shard freeze-ddl c3 --why 'a flood of ALTERs'

No schema change begins through Bulkhead until `bulkhead shard thaw-ddl`.";
const THAW_HELP: &str = "\
Example:
  bulkhead shard thaw-ddl c3 --why 'the campaign is over'";
const SHOW_HELP: &str = "\
Examples:
  bulkhead incident show
  bulkhead incident show c3
  bulkhead incident show c3 --since 2h --json";

/// Columns of a wrapped line's text.
const LABEL_WIDTH: usize = 9;

/// How to reach the proxy, and in which form to print.
#[derive(Debug, Args)]
pub(super) struct OnCallArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    login: AdminLogin,
    /// Prints JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// One order.
#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    #[command(flatten)]
    on_call: OnCallArgs,
    /// A cluster, or a shard as KEYSPACE/SHARD: then its cluster.
    shard: String,
    /// The reason, for the log of events.
    #[arg(long)]
    why: String,
    /// Only says what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// What is done about shards.
#[derive(Debug, Subcommand)]
pub(super) enum ShardCommand {
    /// One screen: how each cluster is, where it stands, and the command to consider next.
    #[command(after_help = STATUS_HELP)]
    Status {
        #[command(flatten)]
        on_call: OnCallArgs,
        /// Only this cluster, or that of this KEYSPACE/SHARD.
        shard: Option<String>,
    },
    /// Refuses writes on a cluster until `undrain`.
    #[command(after_help = DRAIN_HELP)]
    Drain {
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Lets writes in again, slowly.
    #[command(after_help = UNDRAIN_HELP)]
    Undrain {
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Makes a replica the primary.
    #[command(after_help = FAILOVER_HELP)]
    Failover {
        #[command(flatten)]
        order: OrderArgs,
        /// This replica, HOST:PORT; without it the most advanced one.
        #[arg(long)]
        to: Option<String>,
    },
    /// Lets no schema change begin.
    #[command(after_help = FREEZE_HELP)]
    FreezeDdl {
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Lets schema changes begin again.
    #[command(after_help = THAW_HELP)]
    ThawDdl {
        #[command(flatten)]
        order: OrderArgs,
    },
}

/// What is shown of incidents.
#[derive(Debug, Subcommand)]
pub(super) enum IncidentCommand {
    /// The evidence: events with signals and values, what was done, by whom, samples, digests, running DDL.
    #[command(after_help = SHOW_HELP)]
    Show {
        #[command(flatten)]
        on_call: OnCallArgs,
        /// A cluster, or a shard as KEYSPACE/SHARD; without it the one of the last step.
        shard: Option<String>,
        /// How far back, such as 30m, 2h, 1d; without it from the cluster's last sound moment.
        #[arg(long)]
        since: Option<String>,
    },
}

/// `bulkhead shard …`.
pub(super) fn shard(command: ShardCommand) -> Result<(), String> {
    let (order, statement) = match command {
        ShardCommand::Status { on_call, shard } => return status(&on_call, shard.as_deref()),
        ShardCommand::Drain { order } => (order, "DRAIN CLUSTER"),
        ShardCommand::Undrain { order } => (order, "UNDRAIN CLUSTER"),
        ShardCommand::FreezeDdl { order } => (order, "FREEZE DDL ON CLUSTER"),
        ShardCommand::ThawDdl { order } => (order, "THAW DDL ON CLUSTER"),
        ShardCommand::Failover { order, to } => {
            let to = to.map(|server| format!(" TO {}", quoted(&server))).unwrap_or_default();
            return give(&order, "FAILOVER CLUSTER", &to);
        }
    };
    give(&order, statement, "")
}

fn give(order: &OrderArgs, statement: &str, more: &str) -> Result<(), String> {
    let cluster = cluster_of(&order.on_call.config.config, &order.shard)?;
    let dry_run = if order.dry_run { " DRY RUN" } else { "" };
    let (cluster, why) = (quoted(cluster.as_str()), quoted(&order.why));
    let rows = ask(&order.on_call, &[&format!("{statement} {cluster}{more} WHY {why}{dry_run}")])?;
    if order.on_call.json {
        return commands::print_rows(&rows[0], true);
    }
    for row in &rows[0] {
        println!("{:<9} {}", cell(row, "done").unwrap_or_default(), cell(row, "what").unwrap_or_default());
    }
    Ok(())
}

/// `bulkhead incident …`.
pub(super) fn incident(command: IncidentCommand) -> Result<(), String> {
    let IncidentCommand::Show { on_call, shard, since } = command;
    let mut statement = "SHOW INCIDENT".to_owned();
    if let Some(shard) = shard {
        let cluster = cluster_of(&on_call.config.config, &shard)?;
        let _ = write!(statement, " {}", quoted(cluster.as_str()));
    }
    if let Some(since) = since {
        let _ = write!(statement, " SINCE {}", quoted(&since));
    }
    let rows = ask(&on_call, &[&statement])?;
    if on_call.json {
        return commands::print_rows(&rows[0], true);
    }
    for row in &rows[0] {
        let (part, text) = (cell(row, "part").unwrap_or_default(), cell(row, "text").unwrap_or_default());
        let at = cell(row, "at").unwrap_or_default();
        println!("{part:<LABEL_WIDTH$} {at:<24} {text}");
    }
    Ok(())
}

fn status(on_call: &OnCallArgs, shard: Option<&str>) -> Result<(), String> {
    let mut statement = "SHOW SHARD STATUS".to_owned();
    if let Some(shard) = shard {
        let cluster = cluster_of(&on_call.config.config, shard)?;
        let _ = write!(statement, " WHERE cluster = {}", quoted(cluster.as_str()));
    }
    let stats = "SELECT * FROM stats";
    let rows = ask(on_call, &[&statement, stats])?;
    if on_call.json {
        return commands::print_rows(&rows[0], true);
    }
    print!("{}", screen(&rows[0], &rows[1]));
    Ok(())
}

/// The screen: first who decides, then the sick ones, then the others.
fn screen(clusters: &[Row], stats: &[Row]) -> String {
    let stat = |name: &str| {
        let row = stats.iter().find(|row| cell(row, "name").as_deref() == Some(name));
        row.and_then(|row| cell(row, "value")).unwrap_or_else(|| "?".into())
    };
    let mut text = format!("decisions: {}   store: {}\n", stat("ladder"), stat("ladder_store"));
    let is_well = |row: &&Row| {
        cell(row, "state").as_deref() == Some("healthy") && cell(row, "stage").as_deref() == Some("open")
    };
    let sick = clusters.iter().filter(|row| !is_well(row));
    for row in sick.chain(clusters.iter().filter(is_well)) {
        put_cluster(&mut text, row);
    }
    text
}

fn put_cluster(text: &mut String, row: &Row) {
    let of = |column: &str| cell(row, column).unwrap_or_else(|| "-".into());
    let seconds = |column: &str| of(column).split('.').next().unwrap_or_default().to_owned();
    let state = of("state").to_uppercase();
    let (cluster, stage) = (of("cluster"), of("stage"));
    let (state_s, stage_s) = (seconds("state_s"), seconds("stage_s"));
    // Writing to a String cannot fail.
    let _ =
        writeln!(text, "\n{cluster}  {state} for {state_s} s   {stage} for {stage_s} s, by {}", of("set_by"));
    let mut line = |label: &str, what: String| {
        let _ = writeln!(text, "  {label:<LABEL_WIDTH$} {what}");
    };
    line("servers", format!("primary {}   replicas {}", of("primary"), of("replicas")));
    line("shards", of("shards"));
    let (limit, flying, waiting, held) = (of("limit"), of("in_flight"), of("waiting"), of("held"));
    let permits = format!("permits {} ({flying} of {limit} in flight, {waiting} wait)", of("permits"));
    line("gates", format!("ddl {}   {permits}   writes {} ({held} held)", of("ddl"), of("gate")));
    let memory = format!("{} of {} bytes held", of("memory"), of("memory_max"));
    line("limits", format!("{memory}   connections {}", of("breaker")));
    if cell(row, "worst_signal").is_some() {
        let (signal, value, unit) = (of("worst_signal"), of("value"), of("unit"));
        line("worst", format!("{signal} {value} {unit} (from {})", of("threshold")));
    }
    for (label, column) in [("advice", "advice"), ("last", "last_event"), ("next", "consider")] {
        if let Some(what) = cell(row, column) {
            line(label, what);
        }
    }
}

fn ask(on_call: &OnCallArgs, statements: &[&str]) -> Result<Vec<Vec<Row>>, String> {
    let asked = Asked { path: &on_call.config.config, user: &on_call.login.user };
    commands::ask(&asked, statements)
}

/// The named cluster; or that of a shard, and says so.
fn cluster_of(path: &Path, name: &str) -> Result<ClusterName, String> {
    let loaded = build::load(path).map_err(|error| error.to_string())?;
    let cluster = ClusterName::new(name);
    if loaded.config.clusters.contains_key(&cluster) {
        return Ok(cluster);
    }
    let known: Vec<&str> = loaded.config.clusters.keys().map(ClusterName::as_str).collect();
    let unknown = || format!("no cluster or shard {name:?}; there are the clusters {}", known.join(", "));
    let (keyspace, shard) = name.split_once('/').ok_or_else(unknown)?;
    let topology = loaded.config.keyspaces.get(&Keyspace::new(keyspace)).ok_or_else(unknown)?;
    let shard = ShardName::new(shard);
    let place = topology.shards.iter().find(|place| place.name == shard).ok_or_else(unknown)?;
    let others = topology.shards.iter().filter(|other| other.cluster == place.cluster).count() - 1;
    eprintln!("{name} is on the cluster {}, with {others} other shards of {keyspace}", place.cluster);
    Ok(place.cluster.clone())
}

/// Text as the admin port reads it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn cell(row: &Row, column: &str) -> Option<String> {
    let at = row.columns_ref().iter().position(|known| known.name_str() == column)?;
    row.get::<mysql_async::Value, _>(at).and_then(|value| mysql_async::from_value_opt(value).ok()).flatten()
}
