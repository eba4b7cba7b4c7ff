//! FORCE and OPTIMIZE.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D406",
    name: "rebuild",
    sentence: "writes every row anew",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    (subject.clause.kind == ClauseKind::Force)
        .then(|| Ruling::can(Offer::REBUILD, "the table is rebuilt".to_owned()))
}
