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
    // Without a primary key, rows are stored in the order of the first unique one.
    let is_clustering = key.kind == KeyKind::Unique && !subject.table.has_primary_key();
    let offer = match (is_functional, is_clustering) {
        (true, _) if subject.has_other(|_| true) => Offer::COPY,
        (true, _) => Offer::BUILD_LOCKED,
        (false, true) => Offer::REBUILD,
        (false, false) => Offer::BUILD,
    };
    Some(Ruling::can(offer, "an index is built".to_owned()))
}
