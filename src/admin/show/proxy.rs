//! `SHOW SNAPSHOT`, `SHOW STATS`, `SHOW VERSION`: the proxy itself.

use super::super::context::AdminContext;
use super::super::ladder::LadderStanding;
use super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::drain::Ownership;

fn pairs(rows: impl IntoIterator<Item = (&'static str, AdminValue)>) -> AdminTable {
    let mut table = AdminTable::new([("name", ColumnKind::Text), ("value", ColumnKind::Text)]);
    for (name, value) in rows {
        table.push([name.into(), AdminValue::optional(value.printed())]);
    }
    table
}

/// The routing snapshot: generation and sizes.
pub(super) fn snapshot(context: &AdminContext) -> AdminTable {
    let snapshot = context.snapshots.load();
    let shards = snapshot.keyspaces().map(|keyspace| snapshot.shards(keyspace).len()).sum::<usize>();
    let workspaces: usize = snapshot.directories.iter().map(|directory| directory.len()).sum();
    let bytes: usize = snapshot.directories.iter().map(|directory| directory.memory_bytes()).sum();
    let damaged: usize = snapshot.directories.iter().map(|directory| directory.damaged().len()).sum();
    pairs([
        ("generation", snapshot.generation.0.into()),
        ("keyspaces", snapshot.keyspaces().count().into()),
        ("shards", shards.into()),
        ("clusters", snapshot.config.clusters.len().into()),
        ("tables", snapshot.vschema.keyspaces().map(|schema| schema.tables().count()).sum::<usize>().into()),
        ("workspaces", workspaces.into()),
        ("directory_bytes", bytes.into()),
        ("directory_pages_damaged", damaged.into()),
    ])
}

/// Counts of the proxy.
pub(super) fn stats(context: &AdminContext) -> AdminTable {
    let stats = context.stats.stats();
    let ready = if stats.not_ready.is_empty() { "ready".to_owned() } else { stats.not_ready.join("; ") };
    let ladder = context.ladder.standing();
    pairs([
        ("state", ready.into()),
        ("uptime_s", stats.uptime.as_secs().into()),
        ("sessions", stats.sessions.into()),
        ("sessions_total", stats.sessions_total.into()),
        ("failed_logins", stats.failed_logins.into()),
        ("plan_cache_hits", stats.plan_cache_hits.into()),
        ("plan_cache_misses", stats.plan_cache_misses.into()),
        ("plan_cache_plans", stats.plan_cache_plans.into()),
        ("plan_cache_bytes", stats.plan_cache_bytes.into()),
        ("digests", context.health.digest_count().into()),
        ("digests_evicted", context.health.digests_evicted().into()),
        ("reloads", stats.reloads.into()),
        ("reload_failures", stats.reload_failures.into()),
        ("ladder", decides(&ladder).into()),
        ("ladder_store", ladder.store_away.map_or("works".into(), |why| format!("away: {why}")).into()),
        ("events_given_up", ladder.events_given_up.into()),
        ("alerts_delivered", ladder.alerts_delivered.into()),
        ("alerts_failed", ladder.alerts_failed.into()),
        ("alerts_dropped", ladder.alerts_dropped.into()),
    ])
}

/// Which proxy decides about clusters.
fn decides(ladder: &LadderStanding) -> String {
    let (proxy, owner) = (&ladder.proxy, ladder.owner.as_deref().unwrap_or("not known"));
    match ladder.ownership {
        Ownership::Owner => format!("by this proxy, {proxy}"),
        Ownership::Follower => format!("by {owner}; this is {proxy}"),
        Ownership::Alone => format!("{proxy} for itself, gates only: nobody is known to decide"),
    }
}

/// Versions.
pub(super) fn version(context: &AdminContext) -> AdminTable {
    let snapshot = context.snapshots.load();
    pairs([
        ("bulkhead", env!("CARGO_PKG_VERSION").into()),
        ("server_version", AdminValue::text(&snapshot.config.listen.server_version)),
    ])
}
