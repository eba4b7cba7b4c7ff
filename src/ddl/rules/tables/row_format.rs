//! Options that change how rows are stored.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D402",
    name: "row_format",
    sentence: "an option that changes how rows are stored: every row is written anew",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::Option(option) = &subject.clause.kind else { return None };
    let offer = match option.name.as_str() {
        "ROW_FORMAT" | "KEY_BLOCK_SIZE" | "PAGE_COMPRESSED" | "PAGE_COMPRESSION_LEVEL" => Offer::REBUILD,
        "ENCRYPTION" | "ENCRYPTED" | "ENCRYPTION_KEY_ID" | "COMPRESSION" | "TRANSACTIONAL"
        | "PAGE_CHECKSUM" => Offer::COPY,
        _ => return None,
    };
    Some(Ruling::can(offer, format!("{} changes", option.name)))
}
