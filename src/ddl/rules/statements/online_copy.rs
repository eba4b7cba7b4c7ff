//! What is copied online.

use crate::ddl::offer::Work;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};

pub(super) static RULE: Rule = Rule {
    id: "D512",
    name: "online_copy",
    sentence: "the server would write every row anew, or block writes: it is copied online instead",
    remedy: "none needed",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    if !whole.is_copied || whole.offer.is_harmless() || !whole.is_alter() {
        return None;
    }
    let why = match (whole.offer.in_place, whole.offer.work) {
        (false, _) => "the server would copy the table and block writes",
        (true, Work::Rebuild) if !whole.offer.blocks_writes() => "the server would write every row anew",
        (true, _) => "the server would block writes",
    };
    Some(Ruling::says(Effect::Note, why.to_owned()))
}
