//! A table with foreign keys.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};

pub(super) static RULE: Rule = Rule {
    id: "D506",
    name: "foreign_keys",
    sentence: "a table with foreign keys cannot be copied: the keys would point to the table that is put \
               aside",
    remedy: "drop the foreign key first",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let has_foreign_keys = !whole.table.definition?.foreign_keys.is_empty();
    (has_foreign_keys && whole.is_copied)
        .then(|| Ruling::says(Effect::Refuse, "the table has foreign keys".to_owned()))
}
