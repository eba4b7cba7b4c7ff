//! A column type changes.

use crate::ddl::conversion::Conversion;
use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D201",
    name: "type_change",
    sentence: "a column type change is always copied, whatever the size of the table; no option turns that \
               off",
    remedy: "none needed: it is copied online",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    let Conversion::Converted { .. } = changed.conversion(subject) else { return None };
    let why = format!("the type of `{}` changes", changed.old.name.text);
    Some(Ruling::says(Effect::Copy, why).offering(Offer::COPY))
}
