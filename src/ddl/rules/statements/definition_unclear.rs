//! A definition with unknown parts.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};

pub(super) static RULE: Rule = Rule {
    id: "D503",
    name: "definition_unclear",
    sentence: "the table's definition has parts that are not known here, so nothing is done in place",
    remedy: "none needed: it is copied online",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let definition = whole.table.definition?;
    let is_clear = definition.unknown.is_empty()
        && definition.columns.iter().all(|column| column.unknown.is_empty())
        && definition.keys.iter().all(|key| key.unknown.is_empty());
    (!is_clear && whole.is_alter()).then(|| {
        let why = "a part of the table's definition is not known".to_owned();
        Ruling::says(Effect::Copy, why).offering(Offer::COPY)
    })
}
