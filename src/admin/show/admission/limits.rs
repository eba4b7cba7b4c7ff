//! `SHOW WORKSPACE LIMITS`.

use super::super::super::context::AdminContext;
use super::super::super::table::{AdminTable, AdminValue, ColumnKind};

/// What all workspaces may use of a cluster, then those that have limits of their own.
pub(in crate::admin::show) fn limits(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Fraction, Number, Text};
    let columns = [("keyspace", Text), ("workspace", Text), ("in_flight", Number), ("per_second", Fraction)];
    let mut table = AdminTable::new(columns);
    let all = context.snapshots.load().config.limits;
    let (in_flight, per_second) = (all.in_flight.unwrap_or(0), all.per_second.unwrap_or(0));
    table.push(["*".into(), "*".into(), in_flight.into(), AdminValue::Fraction(f64::from(per_second))]);
    for ((keyspace, workspace), own) in context.admissions.own_limits() {
        table.push([
            AdminValue::text(keyspace),
            AdminValue::text(workspace),
            own.in_flight_max.map_or(AdminValue::Null, Into::into),
            own.per_second_max.map_or(AdminValue::Null, AdminValue::Fraction),
        ]);
    }
    table
}
