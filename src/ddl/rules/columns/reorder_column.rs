//! A column changes its place.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D108",
    name: "reorder_column",
    sentence: "moves a column to another place",
    remedy: "leave the order as it is: no statement that names its columns depends on it",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::ChangeColumn { column, position: Some(_), .. } = &subject.clause.kind else {
        return None;
    };
    let offer = match (&column.generated, subject.is_mariadb()) {
        (Some(_), _) => Offer::COPY,
        (None, true) => Offer::INSTANT_OR_REBUILD,
        (None, false) => Offer::REBUILD,
    };
    Some(Ruling::can(offer, format!("`{}` moves", column.name.text)))
}
