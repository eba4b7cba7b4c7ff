//! A new index.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, KeyKind, KeyPart};

pub(super) static RULE: Rule = Rule {
    id: "D301",
    name: "add_index",
    sentence: "builds an index while writes go on; replicas replay it as one step and lag meanwhile",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Index Operations; MariaDB documentation, InnoDB Online DDL \
               Operations with the NOCOPY Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::AddKey(key) = &subject.clause.kind else { return None };
    if !matches!(key.kind, KeyKind::Plain | KeyKind::Unique) {
        return None;
    }
    // A functional index is over a hidden virtual column, which locks the table while it is added.
    let is_functional = key.parts.iter().any(|part| matches!(part, KeyPart::Expression(_)));
    let offer = if is_functional { Offer::BUILD_LOCKED } else { Offer::BUILD };
    Some(Ruling::can(offer, "an index is built".to_owned()))
}
