//! The character set of new columns.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D404",
    name: "default_charset",
    sentence: "changes the character set of columns to come; those that are there keep theirs",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::Option(option) = &subject.clause.kind else { return None };
    if !matches!(option.name.as_str(), "CHARACTER SET" | "COLLATE") {
        return None;
    }
    let offer = if subject.is_mariadb() { subject.option_offer() } else { Offer::REBUILD };
    Some(Ruling::can(offer, format!("{} of new columns changes", option.name)))
}
