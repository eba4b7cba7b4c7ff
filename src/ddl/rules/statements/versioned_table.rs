//! A system-versioned table.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};

pub(super) static RULE: Rule = Rule {
    id: "D510",
    name: "versioned_table",
    sentence: "the history of a system-versioned table would not survive a copy, and MariaDB refuses most \
               changes of it",
    remedy: "drop the versioning by hand first",
    source: "MariaDB documentation, System-Versioned Tables",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let is_versioned = whole.table.option("SYSTEM VERSIONING").is_some()
        || whole.table.columns().iter().any(|column| {
            column.storage.iter().any(|word| word.starts_with("ROW ") || word == "WITH SYSTEM VERSIONING")
        });
    (is_versioned && whole.is_alter()).then(|| {
        Ruling::says(Effect::Refuse, "the table keeps its history".to_owned()).offering(Offer::COPY).losing()
    })
}
