//! `SHOW POOLS` and `SHOW SERVERS`.

use super::super::context::AdminContext;
use super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::backend::PoolStats;

/// Every pool with its counts since it was made.
pub(super) fn pools(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Fraction, Number, Text};
    let mut table = AdminTable::new([
        ("cluster", Text),
        ("role", Text),
        ("server", Text),
        ("idle", Number),
        ("busy", Number),
        ("opening", Number),
        ("waiting", Number),
        ("max_connections", Number),
        ("checkouts", Number),
        ("opened", Number),
        ("closed", Number),
        ("open_errors", Number),
        ("trips", Number),
        ("refused_at_once", Number),
        ("stale", Number),
        ("evicted", Number),
        ("resets", Number),
        ("waits", Number),
        ("wait_avg_ms", Fraction),
        ("wait_max_ms", Fraction),
        ("timeouts", Number),
        ("queue_full", Number),
        ("kills", Number),
    ]);
    sorted(context).iter().for_each(|pool| table.push(pool_row(pool)));
    table
}

fn pool_row(pool: &PoolStats) -> Vec<AdminValue> {
    let counters = &pool.counters;
    let average = counters.wait_us.checked_div(counters.waits);
    vec![
        AdminValue::text(&pool.cluster),
        AdminValue::text(pool.role),
        AdminValue::text(&pool.server),
        pool.idle.into(),
        pool.busy.into(),
        pool.opening.into(),
        pool.waiting.into(),
        pool.max_connections.into(),
        counters.checkouts.into(),
        counters.opened.into(),
        counters.closed.into(),
        counters.open_errors.into(),
        counters.trips.into(),
        counters.refused_at_once.into(),
        counters.stale.into(),
        counters.evicted.into(),
        counters.resets.into(),
        counters.waits.into(),
        average.map_or(AdminValue::Null, AdminValue::milliseconds),
        AdminValue::milliseconds(counters.wait_us_max),
        counters.timeouts.into(),
        counters.queue_full.into(),
        counters.kills.into(),
    ]
}

/// Every server that has a pool: whether connections to it open.
pub(super) fn servers(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Number, Text};
    let mut table = AdminTable::new([
        ("cluster", Text),
        ("server", Text),
        ("role", Text),
        ("state", Text),
        ("connections", Number),
        ("busy", Number),
        ("waiting", Number),
        ("left_alone_s", Number),
        ("last_error", Text),
    ]);
    for pool in sorted(context) {
        table.push([
            AdminValue::text(&pool.cluster),
            AdminValue::text(&pool.server),
            AdminValue::text(pool.role),
            pool.breaker.name().into(),
            (pool.idle + pool.busy).into(),
            pool.busy.into(),
            pool.waiting.into(),
            pool.backoff.map_or(AdminValue::Null, |left| left.as_secs().into()),
            AdminValue::optional(pool.last_error),
        ]);
    }
    table
}

fn sorted(context: &AdminContext) -> Vec<PoolStats> {
    let mut pools = context.pools.pools();
    pools.sort_by(|a, b| (&a.cluster, a.role, &a.server).cmp(&(&b.cluster, b.role, &b.server)));
    pools
}
