//! `SHOW SHARDS` and `SHOW CLUSTERS`.

use super::super::context::AdminContext;
use super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::config::TlsMode;
use crate::health::ShardReport;
use crate::ids::ShardName;
use crate::topology::{Shard, Snapshot};

/// Every shard with its traffic since start, both roles together.
pub(super) fn shards(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Fraction, Number, Text};
    let mut table = AdminTable::new([
        ("keyspace", Text),
        ("shard", Text),
        ("cluster", Text),
        ("key_range", Text),
        ("weight", Number),
        ("workspaces", Number),
        ("statements", Number),
        ("writes", Number),
        ("errors", Number),
        ("lost", Number),
        ("p50_ms", Fraction),
        ("p95_ms", Fraction),
        ("p99_ms", Fraction),
        ("max_ms", Fraction),
    ]);
    let snapshot = context.snapshots.load();
    let reports = context.health.shards();
    for shard in snapshot.keyspaces().flat_map(|keyspace| snapshot.shards(keyspace)) {
        let mut row = vec![
            AdminValue::text(&shard.keyspace),
            AdminValue::text(&shard.name),
            AdminValue::text(&shard.cluster),
            AdminValue::optional(shard.range.as_ref()),
            shard.weight.into(),
            workspaces_on(&snapshot, shard),
        ];
        row.extend(traffic(reports.iter().filter(|r| r.keyspace == shard.keyspace && r.shard == shard.name)));
        table.push(row);
    }
    table
}

fn workspaces_on(snapshot: &Snapshot, shard: &Shard) -> AdminValue {
    let Ok(directory) = snapshot.directory(&shard.keyspace) else { return AdminValue::Null };
    let is_it = |name: &ShardName| *name == shard.name;
    let counts = directory.counts().into_iter().find(|(name, _)| is_it(name));
    counts.map_or(0, |(_, states)| states.iter().sum()).into()
}

fn traffic<'a>(reports: impl Iterator<Item = &'a ShardReport>) -> [AdminValue; 8] {
    let sum = reports.cloned().reduce(|mut sum, report| {
        sum.statements += report.statements;
        sum.writes += report.writes;
        sum.errors += report.errors;
        sum.lost += report.lost;
        sum.latency.add(&report.latency);
        sum
    });
    let Some(sum) = sum else {
        let none = || AdminValue::Number(0);
        let null = AdminValue::Null;
        return [none(), none(), none(), none(), null.clone(), null.clone(), null.clone(), null];
    };
    let quantile = |share| AdminValue::milliseconds(sum.latency.quantile_us(share));
    [
        sum.statements.into(),
        sum.writes.into(),
        sum.errors.into(),
        sum.lost.into(),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
        AdminValue::milliseconds(sum.latency.max_us),
    ]
}

/// Every cluster of the config.
pub(super) fn clusters(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Number, Text};
    let mut table = AdminTable::new([
        ("cluster", Text),
        ("primary", Text),
        ("replicas", Text),
        ("shards", Number),
        ("user", Text),
        ("admin_user", Text),
        ("tls", Text),
        ("pool_max_connections", Number),
    ]);
    let snapshot = context.snapshots.load();
    let all = || snapshot.keyspaces().flat_map(|keyspace| snapshot.shards(keyspace));
    for cluster in snapshot.config.clusters.values() {
        let replicas: Vec<String> = cluster.replicas.iter().map(ToString::to_string).collect();
        table.push([
            AdminValue::text(&cluster.name),
            AdminValue::text(&cluster.primary),
            AdminValue::text(replicas.join(", ")),
            all().filter(|shard| shard.cluster == cluster.name).count().into(),
            AdminValue::text(&cluster.login.user),
            AdminValue::text(&cluster.admin_login.user),
            tls_name(cluster.tls.mode).into(),
            cluster.pool.max_connections.into(),
        ]);
    }
    table
}

fn tls_name(mode: TlsMode) -> &'static str {
    match mode {
        TlsMode::Disabled => "disabled",
        TlsMode::Preferred => "preferred",
        TlsMode::Required => "required",
        TlsMode::VerifyCa => "verify_ca",
        TlsMode::VerifyIdentity => "verify_identity",
    }
}
