//! Rows move between partitions.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, PartitionAction, PartitionKind};

pub(super) static RULE: Rule = Rule {
    id: "D410",
    name: "repartition",
    sentence: "moves rows between partitions, or partitions the table otherwise: writes would wait, so it is \
               copied",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Partitioning Operations; MariaDB documentation, Partition \
               Maintenance",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let is_ranges = subject.partition_kind() == Some(PartitionKind::Ranges);
    let offer = match &subject.clause.kind {
        ClauseKind::Partition(PartitionAction::Add) if !is_ranges => Offer::REBUILD_LOCKED,
        ClauseKind::Partition(
            PartitionAction::Coalesce | PartitionAction::Reorganize | PartitionAction::Rebuild,
        ) => Offer::REBUILD_LOCKED,
        ClauseKind::PartitionBy(_) | ClauseKind::RemovePartitioning => Offer::COPY,
        _ => return None,
    };
    // MariaDB accepts ALGORITHM=INSTANT with PARTITION BY and copies all the same.
    let offer = if subject.is_mariadb() { Offer::COPY } else { offer };
    Some(Ruling::says(Effect::Copy, "rows move between partitions".to_owned()).offering(offer))
}
