//! An engine or version outside the matrices.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};
use crate::ddl::table::is_known;

pub(super) static RULE: Rule = Rule {
    id: "D504",
    name: "not_innodb",
    sentence: "a table of another engine than InnoDB cannot be copied online: without transactions it shows \
               no one moment; on MySQL before 8.0 and MariaDB before 10.11 everything is copied",
    remedy: "convert it on the server (ALTER TABLE … ENGINE=InnoDB) while nothing writes to it; a table \
             that nobody uses yet is changed as it is",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    if !whole.is_alter() || whole.table.definition.is_none() {
        return None;
    }
    if let Some(engine) = whole.table.option("ENGINE").filter(|_| !whole.table.is_innodb()) {
        // By the server itself where nobody is there to wait for it.
        let effect = if whole.is_copied { Effect::Refuse } else { Effect::Note };
        return Some(Ruling::says(effect, format!("the engine is {engine}")).offering(Offer::COPY));
    }
    (!is_known(whole.table.server)).then(|| {
        Ruling::says(Effect::Copy, "the server's version is not among those known".to_owned())
            .offering(Offer::COPY)
    })
}
