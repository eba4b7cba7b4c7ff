//! A collation changes.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, KeyKind};

pub(super) static RULE: Rule = Rule {
    id: "D205",
    name: "collation_change",
    sentence: "the collation of a column changes: what is equal and how it is sorted changes with it, so it \
               is copied; with a unique key, rows may become duplicates",
    remedy: "change joined columns together; with a unique key, ask for a proof (--prove)",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    let name = &changed.old.name.text;
    let (old, new) = changed.types(subject);
    if new.collation.is_none() || old.collation.is_none() || old.collation == new.collation {
        return None;
    }
    let is_unique = subject.table.is_in_key(name, |kind| matches!(kind, KeyKind::Primary | KeyKind::Unique));
    let ruling = match is_unique {
        true => Ruling::says(Effect::Proof, format!("`{name}` is in a unique key")).losing(),
        false => Ruling::says(Effect::Copy, format!("the collation of `{name}` changes")),
    };
    let gets_key = subject.has_other(|kind| matches!(kind, ClauseKind::AddKey(_)));
    let in_key = gets_key || subject.table.is_in_key(name, |_| true);
    Some(ruling.offering(match (subject.is_mariadb(), in_key) {
        (true, false) => Offer::INSTANT,
        (true, true) => Offer::BUILD,
        (false, false) => Offer::METADATA,
        (false, true) => Offer::COPY,
    }))
}
