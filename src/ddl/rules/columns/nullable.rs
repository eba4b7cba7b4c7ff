//! NULL is allowed.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D112",
    name: "nullable",
    sentence: "a column that must not be NULL may be: every row is written anew, and readers may meet NULL",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    let name = &changed.old.name.text;
    let stays = changed.new.nullable == Some(false) || subject.table.is_in_primary_key(name);
    let becomes = subject.table.is_not_null(changed.old) && !stays && changed.new.generated.is_none();
    becomes
        .then(|| Ruling::says(Effect::Note, format!("`{name}` may hold NULL then")).offering(Offer::REBUILD))
}
