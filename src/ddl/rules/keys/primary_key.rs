//! The primary key changes.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, ColumnKey, KeyKind};

pub(super) static RULE: Rule = Rule {
    id: "D306",
    name: "primary_key",
    sentence: "changes the primary key: every row is written anew",
    remedy: "keep another unique key over NOT NULL columns before and after the change",
    source: "MySQL manual, Online DDL Operations: Primary Key Operations; MariaDB documentation, InnoDB \
               Online DDL Operations with the INPLACE Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let drops = |clause: &crate::sql::Clause| clause.kind == ClauseKind::DropPrimaryKey;
    let adds = |clause: &crate::sql::Clause| match &clause.kind {
        ClauseKind::AddKey(key) => key.kind == KeyKind::Primary,
        ClauseKind::AddColumn { column, .. } => column.key == Some(ColumnKey::Primary),
        _ => false,
    };
    if !drops(subject.clause) && !adds(subject.clause) {
        return None;
    }
    let is_added = subject.change.clauses.iter().any(adds);
    let offer = if is_added { Offer::REBUILD } else { Offer::COPY };
    Some(Ruling::can(offer, "the primary key changes".to_owned()))
}
