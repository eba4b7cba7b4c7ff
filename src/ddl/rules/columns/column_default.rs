//! A default or visibility alone.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, ColumnChange};

pub(super) static RULE: Rule = Rule {
    id: "D109",
    name: "column_default",
    sentence: "changes a default or the visibility of a column: stored rows stay as they are; processes that \
               cached the old default (Rails does) keep sending it",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::AlterColumn { name, change } = &subject.clause.kind else { return None };
    let what = match change {
        ColumnChange::SetVisible(_) => "the visibility",
        ColumnChange::SetDefault(_) | ColumnChange::DropDefault => "the default",
    };
    Some(Ruling::can(Offer::INSTANT, format!("{what} of `{}` changes", name.text)))
}
