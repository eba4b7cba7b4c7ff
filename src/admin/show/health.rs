//! `SHOW HEALTH`, `SHOW PRIMARIES`.

use super::super::context::AdminContext;
use super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::ids::ServerId;

/// Every cluster: its state, what speaks against it, and where it stands on the ladder.
pub(super) fn health(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Fraction, Number, Text};
    let mut table = AdminTable::new([
        ("cluster", Text),
        ("state", Text),
        ("state_s", Fraction),
        ("worst_signal", Text),
        ("value", Fraction),
        ("threshold", Fraction),
        ("unit", Text),
        ("signals", Number),
        ("heartbeat", Text),
        ("heartbeat_ms", Fraction),
        ("heartbeat_age_s", Fraction),
        ("writes_in_flight", Number),
        ("oldest_write_s", Fraction),
        ("stage", Text),
        ("stage_s", Fraction),
        ("advice", Text),
    ]);
    for row in context.clusters.clusters() {
        let worst = row.worst();
        let fraction = |value: Option<f64>| value.map_or(AdminValue::Null, AdminValue::Fraction);
        table.push([
            AdminValue::text(&row.cluster),
            row.state.name().into(),
            AdminValue::Fraction(row.state_for.as_secs_f64()),
            AdminValue::optional(worst.map(|evidence| evidence.signal)),
            fraction(worst.map(|evidence| evidence.value)),
            fraction(worst.map(|evidence| evidence.threshold)),
            AdminValue::optional(worst.map(|evidence| evidence.signal.unit())),
            row.evidence.len().into(),
            AdminValue::text(&row.heartbeat),
            fraction(row.heartbeat_took.map(|took| took.as_secs_f64() * 1000.0)),
            fraction(row.heartbeat_age.map(|age| age.as_secs_f64())),
            row.writes_in_flight.into(),
            AdminValue::Fraction(row.oldest_write.as_secs_f64()),
            row.decision.stage.name().into(),
            AdminValue::Fraction(row.stage_for.as_secs_f64()),
            AdminValue::optional(row.advice.as_ref().map(|advice| advice.stage.name())),
        ]);
    }
    table
}

/// Every cluster: which server is its primary, and what is wrong with the others.
pub(super) fn primaries(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Fraction, Text};
    let mut table = AdminTable::new([
        ("cluster", Text),
        ("primary", Text),
        ("configured", Text),
        ("heard_ago_s", Fraction),
        ("also_writable", Text),
        ("unfenced", Text),
        ("cut_off", Text),
        ("note", Text),
    ]);
    for row in context.primaries.primaries() {
        let list = |servers: &[ServerId]| {
            AdminValue::text(servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        };
        table.push([
            AdminValue::text(&row.cluster),
            AdminValue::text(&row.primary),
            AdminValue::text(&row.configured),
            row.heard_ago.map_or(AdminValue::Null, |ago| AdminValue::Fraction(ago.as_secs_f64())),
            list(&row.also_writable),
            list(&row.unfenced),
            list(&row.cut_off),
            AdminValue::text(&row.note),
        ]);
    }
    table
}
