//! NULL is forbidden.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D111",
    name: "not_null",
    sentence: "a column that may hold NULL must not any more: rows that hold it are in the way, and running \
               code may still write it",
    remedy: "fill the rows, deploy code that writes a value, then ask for a proof (--prove): the rows are \
               scanned first",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    if changed.new.generated.is_some() {
        return None;
    }
    let becomes = changed.new.nullable == Some(false) && !subject.table.is_not_null(changed.old);
    becomes.then(|| {
        let why = format!("`{}` may hold NULL now", changed.old.name.text);
        Ruling::says(Effect::ProofInUse, why).offering(Offer::REBUILD).losing().breaking()
    })
}
