//! CONVERT TO CHARACTER SET.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D405",
    name: "convert_charset",
    sentence: "converts every text of the table",
    remedy: "change joined tables together; when it can lose characters or make duplicates, ask for a proof \
               (--prove)",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::Convert { charset, collation } = &subject.clause.kind else { return None };
    let ruling = match subject.conversion_risk(charset.as_deref(), collation.as_deref()) {
        Some(risk) => Ruling::says(Effect::Proof, risk).losing(),
        None => Ruling::says(Effect::Copy, "every text is converted".to_owned()),
    };
    Some(ruling.offering(Offer::COPY))
}
