//! Nothing can be asserted.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D508",
    name: "no_assertion",
    sentence: "MariaDB takes no ALGORITHM with actions on partitions, and nothing is changed in place \
               without one",
    remedy: "run it on the server, by hand",
    source: "MySQL manual, Online DDL Operations: Partitioning Operations; MariaDB documentation, Partition \
               Maintenance",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let is_partition = |clause: &crate::sql::Clause| matches!(clause.kind, ClauseKind::Partition(_));
    let has_action = whole.change.clauses.iter().any(is_partition);
    (has_action && whole.table.server.mariadb && !whole.is_copied)
        .then(|| Ruling::says(Effect::Refuse, "the server would take no assertion".to_owned()))
}
