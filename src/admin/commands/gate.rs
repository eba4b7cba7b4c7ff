//! `SET GATE` and `SET DDL LANE`: what the ladder and cut-overs set, by hand.

use std::time::{Duration, Instant};

use super::super::context::AdminContext;
use super::super::table::AdminAnswer;
use super::super::words::Words;
use super::done;
use crate::drain::{Action, Covers, GateState, Lane, Scope};
use crate::error::{ClientError, Code};
use crate::ids::{ClusterName, Keyspace, ShardName, TableName};

/// Seconds that `BUFFERING` holds unless told: three times what a planned switchover takes.
const HOLD_S: u64 = 10;
/// At most: clients' own time limits are seldom longer.
const HOLD_S_MAX: u64 = 60;

/// `SET GATE CLUSTER <cluster> | SHARD <keyspace> <shard> | TABLE <keyspace> <shard> <table> <state>
/// [FOR <seconds>] [ALL]`.
pub(in crate::admin) fn set_gate(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let (cluster, scope) = take_scope(words, context)?;
    let wrong = words.expected("a state (open, limited, buffering, refusing, drained)");
    let word = words.name("a state")?.to_ascii_lowercase();
    let is_buffering = word == "buffering";
    let seconds = match words.take("FOR") {
        true if is_buffering => words.number("a number of seconds")?.clamp(1, HOLD_S_MAX),
        true => return Err(words.expected("FOR behind buffering only")),
        false => HOLD_S,
    };
    let covers = if words.take("ALL") { Covers::All } else { Covers::Writes };
    words.end()?;
    let now = Instant::now();
    let state = match word.as_str() {
        "open" => GateState::Open,
        "limited" => GateState::Limited,
        "buffering" => GateState::Buffering { until: now + Duration::from_secs(seconds) },
        "refusing" => GateState::Refusing,
        "drained" => GateState::Drained,
        _ => return Err(wrong),
    };
    let admission = context.admissions.of(&cluster);
    admission.set_gate(scope.clone(), state, covers, now);
    tracing::warn!(%cluster, ?scope, state = word, ?covers, "gate set by hand");
    let held = if is_buffering { format!(" for {seconds} s") } else { String::new() };
    let what = if covers == Covers::All { "statements" } else { "writes" };
    done(1, format!("{} is {word} for {what}{held}", name_of(&scope)))
}

/// `SET DDL LANE <cluster> OPEN | CLOSED`.
pub(in crate::admin) fn set_ddl_lane(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let cluster = take_cluster(words, context)?;
    let lane = if words.take("CLOSED") {
        Lane::Closed
    } else if words.take("OPEN") {
        Lane::Open
    } else {
        return Err(words.expected("OPEN or CLOSED"));
    };
    words.end()?;
    context.admissions.of(&cluster).apply(&Action::DdlLane(lane), Instant::now());
    tracing::warn!(%cluster, ?lane, "lane for schema changes set by hand");
    let verb = if lane == Lane::Closed { "refuses" } else { "takes" };
    done(1, format!("cluster {cluster} {verb} schema changes"))
}

fn take_scope(words: &mut Words<'_>, context: &AdminContext) -> Result<(ClusterName, Scope), ClientError> {
    if words.take("CLUSTER") {
        let cluster = take_cluster(words, context)?;
        return Ok((cluster.clone(), Scope::Cluster(cluster)));
    }
    let is_table = words.take("TABLE");
    if !is_table && !words.take("SHARD") {
        return Err(
            words.expected("CLUSTER <cluster>, SHARD <keyspace> <shard> or TABLE <keyspace> <shard> <table>")
        );
    }
    let keyspace = Keyspace::new(words.name("a keyspace")?);
    let shard = ShardName::new(words.name("a shard")?);
    let snapshot = context.snapshots.load();
    let found = snapshot.shards(&keyspace).iter().find(|known| known.name == shard);
    let cluster = found
        .map(|shard| shard.cluster.clone())
        .ok_or_else(|| ClientError::new(Code::AdminNotFound, format!("no shard {shard} of {keyspace}")))?;
    let scope = match is_table {
        true => Scope::Table(keyspace, shard, TableName::new(words.name("a table")?)),
        false => Scope::Shard(keyspace, shard),
    };
    Ok((cluster, scope))
}

fn take_cluster(words: &mut Words<'_>, context: &AdminContext) -> Result<ClusterName, ClientError> {
    let cluster = ClusterName::new(words.name("a cluster")?);
    if context.snapshots.load().config.clusters.contains_key(&cluster) {
        return Ok(cluster);
    }
    let message = format!("no cluster {cluster}");
    Err(ClientError::new(Code::AdminNotFound, message))
}

fn name_of(scope: &Scope) -> String {
    match scope {
        Scope::Cluster(cluster) => format!("the gate of cluster {cluster}"),
        Scope::Shard(keyspace, shard) => format!("the gate of shard {keyspace}/{shard}"),
        Scope::Table(keyspace, shard, table) => format!("the gate of table {table} of {keyspace}/{shard}"),
        Scope::OwnTable(keyspace, shard, workspace, table) => {
            format!("the gate of table {table} of workspace {workspace} on {keyspace}/{shard}")
        }
    }
}
