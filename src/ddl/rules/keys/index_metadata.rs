//! An index in name only.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D305",
    name: "index_metadata",
    sentence: "renames an index or changes whether it is used",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Index Operations; MariaDB documentation, InnoDB Online DDL \
               Operations with the NOCOPY Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let why = match &subject.clause.kind {
        ClauseKind::RenameKey { from, to } => format!("the index `{}` becomes `{}`", from.text, to.text),
        ClauseKind::AlterKey { name, visible: true } => format!("the index `{}` is used again", name.text),
        ClauseKind::AlterKey { name, visible: false } => format!("the index `{}` is used no more", name.text),
        _ => return None,
    };
    // MariaDB renames an index at once only in a statement of its own.
    let is_instant = subject.is_mariadb() && !subject.has_other(|_| true);
    Some(Ruling::can(if is_instant { Offer::INSTANT } else { Offer::METADATA }, why))
}
