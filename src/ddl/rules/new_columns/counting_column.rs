//! A new AUTO_INCREMENT column.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D105",
    name: "counting_column",
    sentence: "adds an AUTO_INCREMENT column: every row gets a number, and writes wait meanwhile",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::AddColumn { column, .. } = &subject.clause.kind else { return None };
    column
        .auto_increment
        .then(|| Ruling::can(Offer::REBUILD_LOCKED, format!("`{}` numbers every row", column.name.text)))
}
