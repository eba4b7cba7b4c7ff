//! Partitions whose rows come or go.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, PartitionAction, PartitionKind};

pub(super) static RULE: Rule = Rule {
    id: "D409",
    name: "partition_rows",
    sentence: "adds, drops or empties partitions: done directly, because a copy would put the rows of a \
               dropped partition into its neighbour",
    remedy: "acknowledge that rows are dropped",
    source: "MySQL manual, Online DDL Operations: Partitioning Operations; MariaDB documentation, Partition \
               Maintenance",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::Partition(action) = &subject.clause.kind else { return None };
    let is_ranges = subject.partition_kind() == Some(PartitionKind::Ranges);
    match action {
        PartitionAction::Add if is_ranges => {
            Some(Ruling::can(Offer::METADATA, "a partition is added".to_owned()))
        }
        PartitionAction::Drop | PartitionAction::Truncate => {
            let why = "the rows of the partition are gone".to_owned();
            Some(Ruling::says(Effect::Acknowledge, why).offering(Offer::METADATA).losing())
        }
        _ => None,
    }
}
