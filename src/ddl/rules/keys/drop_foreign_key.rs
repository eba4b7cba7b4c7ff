//! A foreign key is dropped.

use crate::ddl::offer::Offer;
use crate::ddl::rules::ConstraintKind;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D308",
    name: "drop_foreign_key",
    sentence: "drops a foreign key",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Foreign Key Operations; MariaDB documentation, Foreign \
               Keys",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let is_dropped = match &subject.clause.kind {
        ClauseKind::DropForeignKey(_) => true,
        ClauseKind::DropConstraint(name) => {
            subject.constraint_is(&name.text) == Some(ConstraintKind::ForeignKey)
        }
        _ => return None,
    };
    let offer = if subject.is_mariadb() { Offer::INSTANT } else { Offer::METADATA };
    is_dropped.then(|| Ruling::can(offer, "a foreign key is dropped".to_owned()))
}
