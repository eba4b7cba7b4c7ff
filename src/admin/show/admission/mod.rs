//! `SHOW ADMISSION`, `SHOW GATES`, `SHOW WORKSPACE LIMITS`.

mod gates;
mod limits;

pub(super) use gates::gates;
pub(super) use limits::limits;

use self::gates::state_name;
use super::super::context::AdminContext;
use super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::admission::{AdmissionView, ClassView};
use crate::drain::PermitsHeld;

/// Every cluster's permits, writes and reads.
pub(super) fn admission(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Number, Text};
    let mut table = AdminTable::new([
        ("cluster", Text),
        ("class", Text),
        ("limit", Number),
        ("floor", Number),
        ("ceiling", Number),
        ("permits", Text),
        ("in_flight", Number),
        ("waiting", Number),
        ("waiting_bytes", Number),
        ("gate", Text),
        ("held", Number),
        ("memory", Number),
        ("memory_max", Number),
        ("ddl_lane", Text),
        ("refused", Number),
        ("reasons", Text),
    ]);
    for view in context.admissions.views() {
        view.classes.iter().for_each(|class| table.push(row(&view, class)));
    }
    table
}

fn row(view: &AdmissionView, class: &ClassView) -> Vec<AdminValue> {
    let permits = match class.held {
        PermitsHeld::Free => "free",
        PermitsHeld::Few => "few",
        PermitsHeld::Ramping => "ramping",
    };
    let reasons = class.refused.iter().filter(|(_, count)| *count > 0);
    let reasons: Vec<String> = reasons.map(|(why, count)| format!("{} {count}", why.name())).collect();
    vec![
        AdminValue::text(&view.cluster),
        class.class.name().into(),
        class.limit.into(),
        class.bounds.0.into(),
        class.bounds.1.into(),
        permits.into(),
        class.in_flight.into(),
        class.waiting.into(),
        class.waiting_bytes.into(),
        state_name(view.cluster_gate()).into(),
        view.held().0.into(),
        view.memory.used.into(),
        view.memory.bytes_max.into(),
        if view.is_ddl_closed { "closed" } else { "open" }.into(),
        class.refused.iter().map(|(_, count)| count).sum::<u64>().into(),
        AdminValue::optional((!reasons.is_empty()).then(|| reasons.join(", "))),
    ]
}
