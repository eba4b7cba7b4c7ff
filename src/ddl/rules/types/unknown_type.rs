//! A type nobody knows.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, TypeKind};

pub(super) static RULE: Rule = Rule {
    id: "D207",
    name: "unknown_type",
    sentence: "the type or an attribute of the column is not known here",
    remedy: "check the spelling, the server and its version; report it",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let column = match &subject.clause.kind {
        ClauseKind::AddColumn { column, .. } | ClauseKind::ChangeColumn { column, .. } => column,
        ClauseKind::AddKey(key) if !key.unknown.is_empty() => {
            return Some(Ruling::says(Effect::Refuse, "a part of the key is not known".to_owned()));
        }
        _ => return None,
    };
    // Types of their own in MariaDB and in MySQL 9.
    const KNOWN: [&str; 5] = ["uuid", "inet4", "inet6", "vector", "xmltype"];
    let is_known = match &column.data_type.kind {
        TypeKind::Other(name) => KNOWN.contains(&name.as_str()),
        _ => true,
    };
    if is_known && column.unknown.is_empty() {
        return None;
    }
    let why = format!("a part of the definition of `{}` is not known", column.name.text);
    Some(Ruling::says(Effect::Refuse, why).offering(Offer::COPY))
}
