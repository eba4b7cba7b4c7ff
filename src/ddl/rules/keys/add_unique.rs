//! A new unique key.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, ColumnKey, KeyKind};

pub(super) static RULE: Rule = Rule {
    id: "D302",
    name: "add_unique",
    sentence: "adds a unique key: built by the server it fails when there are duplicates; built with a copy, \
               rows would have to be scanned first",
    remedy: "look for duplicates and deploy code that makes none before the change; with a copy, ask for a \
               proof (--prove)",
    source: "MySQL manual, Online DDL Operations: Index Operations; MariaDB documentation, InnoDB Online DDL \
               Operations with the NOCOPY Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let is_unique = match &subject.clause.kind {
        ClauseKind::AddKey(key) => key.kind == KeyKind::Unique,
        ClauseKind::AddColumn { column, .. } => {
            column.key == Some(ColumnKey::Unique) && !column.auto_increment
        }
        ClauseKind::ChangeColumn { column, .. } => column.key == Some(ColumnKey::Unique),
        _ => return None,
    };
    is_unique.then(|| {
        Ruling::says(Effect::ProofIfCopied, "duplicates are refused from then on".to_owned()).breaking()
    })
}
