//! `SHOW SHARD STATUS <tail>`: what an on-call has to know of each cluster, and the command to consider next.

use std::fmt::Write as _;

use super::super::super::context::{AdminContext, HealthRow};
use super::super::super::ladder::LoggedEntry;
use super::super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::backend::{BreakerState, PoolStats};
use crate::drain::{Entry, Stage, utc};
use crate::health::State;
use crate::ids::{ClusterName, Role};

/// One row for each cluster.
pub(in crate::admin::show) fn status(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Fraction, Number, Text};
    let mut table = AdminTable::new([
        ("cluster", Text),
        ("state", Text),
        ("state_s", Fraction),
        ("stage", Text),
        ("stage_s", Fraction),
        ("set_by", Text),
        ("primary", Text),
        ("replicas", Text),
        ("shards", Text),
        ("ddl", Text),
        ("permits", Text),
        ("gate", Text),
        ("limit", Number),
        ("in_flight", Number),
        ("waiting", Number),
        ("held", Number),
        ("memory", Number),
        ("memory_max", Number),
        ("breaker", Text),
        ("worst_signal", Text),
        ("value", Fraction),
        ("threshold", Fraction),
        ("unit", Text),
        ("advice", Text),
        ("last_event", Text),
        ("consider", Text),
    ]);
    let (events, pools) = (context.ladder.events(), context.pools.pools());
    for row in context.clusters.clusters() {
        if let Some(cells) = cells(&row, (&events, &pools), context) {
            table.push(cells);
        }
    }
    table
}

/// One cluster's row; `None` when the config no longer has it.
fn cells(
    row: &HealthRow,
    (events, pools): (&[LoggedEntry], &[PoolStats]),
    context: &AdminContext,
) -> Option<Vec<AdminValue>> {
    let snapshot = context.snapshots.load();
    let cluster = snapshot.config.clusters.get(&row.cluster)?;
    let shards: Vec<String> = snapshot
        .keyspaces()
        .flat_map(|keyspace| snapshot.shards(keyspace))
        .filter(|shard| shard.cluster == row.cluster)
        .map(|shard| format!("{}/{}", shard.keyspace, shard.name))
        .collect();
    let replicas: Vec<String> = cluster.replicas.iter().map(ToString::to_string).collect();
    let view = context.admissions.of(&row.cluster).view();
    let [writes, _reads] = &view.classes;
    let worst = row.worst();
    let fraction = |value: Option<f64>| value.map_or(AdminValue::Null, AdminValue::Fraction);
    let advice = row
        .advice
        .as_ref()
        .map(|advice| format!("{} {}: {}", advice.how.name(), advice.stage.name(), advice.why));
    Some(vec![
        AdminValue::text(&row.cluster),
        row.state.name().into(),
        AdminValue::Fraction(row.state_for.as_secs_f64()),
        row.decision.stage.name().into(),
        AdminValue::Fraction(row.stage_for.as_secs_f64()),
        set_by(row).into(),
        AdminValue::text(&cluster.primary),
        AdminValue::optional((!replicas.is_empty()).then(|| replicas.join(", "))),
        AdminValue::optional((!shards.is_empty()).then(|| shards.join(", "))),
        ddl(row, view.is_ddl_closed).into(),
        writes.held.name().into(),
        view.cluster_gate().name().into(),
        writes.limit.into(),
        writes.in_flight.into(),
        writes.waiting.into(),
        view.held().0.into(),
        view.memory.used.into(),
        view.memory.bytes_max.into(),
        breakers(pools, &row.cluster).into(),
        AdminValue::optional(worst.map(|evidence| evidence.signal)),
        fraction(worst.map(|evidence| evidence.value)),
        fraction(worst.map(|evidence| evidence.threshold)),
        AdminValue::optional(worst.map(|evidence| evidence.signal.unit())),
        AdminValue::optional(advice),
        AdminValue::optional(last_event(events, &row.cluster)),
        AdminValue::optional(consider(row, !cluster.replicas.is_empty())),
    ])
}

/// How the primary's breaker stands; and those of replicas that do not work.
pub(super) fn breakers(pools: &[PoolStats], cluster: &ClusterName) -> String {
    let own = |role: Role| pools.iter().filter(move |pool| pool.cluster == *cluster && pool.role == role);
    let primary = own(Role::Primary).map(|pool| pool.breaker).max().unwrap_or_default();
    let mut text = primary.name().to_owned();
    for pool in own(Role::Replica).filter(|pool| pool.breaker != BreakerState::Working) {
        let _ = write!(text, ", replica {} {}", pool.server, pool.breaker.name());
    }
    text
}

/// Whether schema changes begin, as this proxy acts.
fn ddl(row: &HealthRow, is_closed: bool) -> &'static str {
    match (row.decision.is_ddl_frozen, is_closed) {
        (true, _) => "frozen",
        (false, true) => "closed",
        (false, false) => "open",
    }
}

/// Who brought it to its stage.
pub(super) fn set_by(row: &HealthRow) -> &'static str {
    if row.decision.is_operators {
        "operator"
    } else if row.decision.is_unsure {
        "policy, unsure of the primary"
    } else {
        "policy"
    }
}

fn last_event(events: &[LoggedEntry], cluster: &ClusterName) -> Option<String> {
    let is_its = |logged: &&LoggedEntry| {
        logged.entry.cluster() == Some(cluster) && !matches!(*logged.entry, Entry::Notice(_))
    };
    let last = events.iter().rev().find(is_its)?;
    let entry = &last.entry;
    Some(format!("{} {} {}: {}", utc(entry.at()), entry.what(), entry.how(), entry.why()))
}

/// The next command that an operator should think about; `None` when there is nothing to do.
pub(super) fn consider(row: &HealthRow, has_replica: bool) -> Option<String> {
    let cluster = &row.cluster;
    let command = |what: &str| Some(format!("bulkhead shard {what} {cluster} --why '…'"));
    let is_sick = row.state >= State::Degraded;
    match row.decision.stage {
        _ if row.decision.is_unsure => {
            let next = format!("bulkhead shard failover {cluster} --to HOST:PORT --why '…'");
            Some(format!("find out who is the primary, then: {next}"))
        }
        Stage::Open if row.decision.is_ddl_frozen && row.state == State::Healthy => command("thaw-ddl"),
        Stage::Open if row.state == State::Healthy => None,
        Stage::Open | Stage::Contained => Some(format!("bulkhead incident show {cluster}")),
        Stage::Limited | Stage::Draining if is_sick && !has_replica => command("drain"),
        Stage::Limited => command("drain"),
        Stage::Draining | Stage::Drained if is_sick && has_replica => {
            Some(format!("bulkhead shard failover {cluster} --why '…' --dry-run"))
        }
        Stage::Drained if !is_sick && row.decision.is_operators => command("undrain"),
        Stage::Draining | Stage::Drained | Stage::FailingOver | Stage::Ramping => {
            Some(format!("bulkhead incident show {cluster}"))
        }
    }
}
