//! A column that is not there.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D115",
    name: "unknown_column",
    sentence: "names a column that the definition does not have",
    remedy: "compare the definition with the server (SHOW CREATE TABLE)",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    subject.table.definition?;
    let missing = subject.missing_column()?;
    Some(Ruling::says(Effect::Refuse, format!("the definition has no column `{missing}`")))
}
