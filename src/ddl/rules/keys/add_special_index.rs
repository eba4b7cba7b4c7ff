//! A FULLTEXT, SPATIAL or VECTOR index.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, KeyKind};

pub(super) static RULE: Rule = Rule {
    id: "D303",
    name: "add_special_index",
    sentence: "building a FULLTEXT, SPATIAL or VECTOR index in place blocks writes, so the table is copied",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Index Operations; MariaDB documentation, InnoDB Online DDL \
               Operations with the NOCOPY Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::AddKey(key) = &subject.clause.kind else { return None };
    let offer = match key.kind {
        KeyKind::FullText | KeyKind::Spatial => Offer::BUILD_LOCKED,
        KeyKind::Vector => Offer::COPY,
        _ => return None,
    };
    Some(Ruling::can(offer, "building the index blocks writes".to_owned()))
}
