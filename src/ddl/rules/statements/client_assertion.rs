//! The statement asserts more than is true.

use crate::ddl::offer::Work;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D507",
    name: "client_assertion",
    sentence: "the statement asserts an ALGORITHM that the change cannot have",
    remedy: "leave ALGORITHM and LOCK out: they are set by what is decided",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let asserted = whole.change.clauses.iter().find_map(|clause| match &clause.kind {
        ClauseKind::Algorithm(word) => Some(word.as_str()),
        _ => None,
    })?;
    let is_true = match asserted {
        "INSTANT" => whole.offer.instant,
        "NOCOPY" => whole.offer.instant || (whole.offer.in_place && whole.offer.work < Work::Rebuild),
        "INPLACE" => whole.offer.instant || whole.offer.in_place,
        "COPY" | "DEFAULT" => true,
        _ => false,
    };
    (!is_true).then(|| Ruling::says(Effect::Refuse, format!("ALGORITHM={asserted} does not hold")))
}
