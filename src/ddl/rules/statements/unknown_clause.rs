//! A clause nobody knows.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D501",
    name: "unknown_clause",
    sentence: "a clause that is not known here",
    remedy: "check the spelling; report it, and run it on the server by hand",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    (subject.clause.kind == ClauseKind::Unknown)
        .then(|| Ruling::says(Effect::Refuse, "the clause is not known".to_owned()).offering(Offer::COPY))
}
