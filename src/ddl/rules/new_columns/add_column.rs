//! A new column.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, TypeKind};

pub(super) static RULE: Rule = Rule {
    id: "D101",
    name: "add_column",
    sentence: "adds a column",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::AddColumn { column, position } = &subject.clause.kind else { return None };
    if column.generated.is_some() || column.auto_increment {
        return None;
    }
    let is_time = matches!(column.data_type.kind, TypeKind::Date | TypeKind::DateTime | TypeKind::Timestamp);
    let needs_value = column.nullable == Some(false) && column.default.is_none() && is_time;
    let from = if position.is_none() { 80_012 } else { 80_032 };
    let is_instant = if subject.is_mariadb() { true } else { subject.is_mysql_from(from) && !needs_value };
    let is_plain = column.storage.is_empty() && column.checks.is_empty();
    let offer = match (is_plain, is_instant) {
        (false, _) => Offer::COPY,
        (true, true) => Offer::INSTANT_OR_REBUILD,
        (true, false) => Offer::REBUILD,
    };
    let offer = if column.key.is_some() { offer.and(Offer::BUILD) } else { offer };
    Some(Ruling::can(offer, format!("adds the column `{}`", column.name.text)))
}
