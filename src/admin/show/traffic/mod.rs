//! `SHOW DIGESTS` and `SHOW SESSIONS`: what clients do.

mod sessions;

pub(super) use sessions::sessions;

use super::super::context::AdminContext;
use super::super::table::{AdminTable, AdminValue, ColumnKind};

/// Every digest, the one that took most time in all first.
pub(super) fn digests(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Fraction, Number, Text};
    let mut table = AdminTable::new([
        ("digest", Text),
        ("keyspace", Text),
        ("calls", Number),
        ("errors", Number),
        ("rows", Number),
        ("bytes", Number),
        ("total_ms", Fraction),
        ("p50_ms", Fraction),
        ("p95_ms", Fraction),
        ("p99_ms", Fraction),
        ("max_ms", Fraction),
        ("text", Text),
    ]);
    let mut digests = context.health.digests();
    digests.sort_by_key(|digest| (std::cmp::Reverse(digest.latency.sum_us), digest.digest));
    for digest in digests {
        let quantile = |share| AdminValue::milliseconds(digest.latency.quantile_us(share));
        table.push([
            AdminValue::text(format!("{:016x}", digest.digest)),
            AdminValue::optional(digest.keyspace.as_ref()),
            digest.calls.into(),
            digest.errors.into(),
            digest.rows.into(),
            digest.bytes.into(),
            AdminValue::milliseconds(digest.latency.sum_us),
            quantile(0.5),
            quantile(0.95),
            quantile(0.99),
            AdminValue::milliseconds(digest.latency.max_us),
            AdminValue::text(&digest.text),
        ]);
    }
    table
}
