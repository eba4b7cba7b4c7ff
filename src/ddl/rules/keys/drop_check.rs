//! A check ends to hold.

use crate::ddl::offer::Offer;
use crate::ddl::rules::ConstraintKind;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D310",
    name: "drop_check",
    sentence: "a check is dropped or not enforced any more",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ends = match &subject.clause.kind {
        ClauseKind::DropCheck(_) | ClauseKind::AlterCheck { enforced: false, .. } => true,
        ClauseKind::DropConstraint(name) => subject.constraint_is(&name.text) == Some(ConstraintKind::Check),
        _ => return None,
    };
    ends.then(|| Ruling::can(Offer::INSTANT, "a check ends to hold".to_owned()))
}
