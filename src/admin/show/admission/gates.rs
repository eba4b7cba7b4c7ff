//! `SHOW GATES`.

use std::time::Instant;

use super::super::super::context::AdminContext;
use super::super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::admission::GateView;
use crate::drain::{Covers, GateState, Scope};
use crate::ids::ClusterName;

/// Every gate that is not open, or at which statements are still held.
pub(in crate::admin::show) fn gates(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Number, Text};
    let mut table = AdminTable::new([
        ("cluster", Text),
        ("keyspace", Text),
        ("shard", Text),
        ("workspace", Text),
        ("table", Text),
        ("state", Text),
        ("covers", Text),
        ("since_s", Number),
        ("holds_for_s", Number),
        ("held", Number),
        ("held_bytes", Number),
    ]);
    for view in context.admissions.views() {
        view.gates.iter().for_each(|gate| table.push(row(&view.cluster, gate)));
    }
    table
}

fn row(cluster: &ClusterName, gate: &GateView) -> Vec<AdminValue> {
    let (keyspace, shard, table) = match &gate.scope {
        Scope::Cluster(_) => (None, None, None),
        Scope::Shard(keyspace, shard) => (Some(keyspace), Some(shard), None),
        Scope::Table(keyspace, shard, table) | Scope::OwnTable(keyspace, shard, _, table) => {
            (Some(keyspace), Some(shard), Some(table))
        }
    };
    let workspace = match &gate.scope {
        Scope::OwnTable(_, _, workspace, _) => Some(workspace),
        _ => None,
    };
    let left = match gate.state {
        GateState::Buffering { until } => until.saturating_duration_since(Instant::now()).as_secs().into(),
        _ => AdminValue::Null,
    };
    vec![
        AdminValue::text(cluster),
        AdminValue::optional(keyspace),
        AdminValue::optional(shard),
        AdminValue::optional(workspace),
        AdminValue::optional(table),
        state_name(gate.state).into(),
        if gate.covers == Covers::All { "all" } else { "writes" }.into(),
        gate.since.as_secs().into(),
        left,
        gate.held.0.into(),
        gate.held.1.into(),
    ]
}

/// A state's name.
pub(super) fn state_name(state: GateState) -> &'static str {
    match state {
        GateState::Open => "open",
        GateState::Limited => "limited",
        GateState::Buffering { .. } => "buffering",
        GateState::Refusing => "refusing",
        GateState::Drained => "drained",
    }
}
