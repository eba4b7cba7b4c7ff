//! A new column that old INSERTs do not fill.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D102",
    name: "required_column",
    sentence: "a column without a default must not be NULL: inserts of running code that does not know it \
               fail, or silently get an implicit value",
    remedy: "give it a DEFAULT, or add it nullable, fill it, and make it NOT NULL later; or acknowledge",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::AddColumn { column, .. } = &subject.clause.kind else { return None };
    let is_filled = column.default.is_some() || column.auto_increment || column.generated.is_some();
    if is_filled || column.nullable != Some(false) {
        return None;
    }
    let why = format!("`{}` is NOT NULL and has no default", column.name.text);
    Some(Ruling::says(Effect::Acknowledge, why).breaking())
}
