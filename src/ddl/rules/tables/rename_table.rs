//! A table is renamed.

use crate::ddl::offer::Lock;
use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, ObjectName};

pub(super) static RULE: Rule = Rule {
    id: "D407",
    name: "rename_table",
    sentence: "renames a table: running code uses the old name until it has restarted",
    remedy: "make a view of the old name in the same step, or a new table and two writes; or acknowledge",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::RenameTable(to) = &subject.clause.kind else { return None };
    let database = |name: &ObjectName| name.qualifier.as_ref().map(|database| database.text.clone());
    let across = to.qualifier.is_some() && database(to) != database(subject.renamed_from());
    let why = format!("the table becomes `{}`", to.name.text);
    let lock = if subject.is_mariadb() { Lock::Exclusive } else { Lock::None };
    let effect = if across { Effect::Refuse } else { Effect::Acknowledge };
    Some(Ruling::says(effect, why).offering(Offer { lock, ..Offer::INSTANT }).breaking())
}
