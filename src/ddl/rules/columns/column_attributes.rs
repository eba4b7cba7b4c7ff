//! What else MODIFY and CHANGE say.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ColumnKey;

pub(super) static RULE: Rule = Rule {
    id: "D110",
    name: "column_attributes",
    sentence: "comment, default and visibility of a column are definition alone",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    let name = &changed.new.name.text;
    // MODIFY x INT UNIQUE makes a key as well.
    let offer = match changed.new.key {
        Some(ColumnKey::Unique) if subject.table.has_primary_key() => Offer::BUILD,
        Some(ColumnKey::Unique) => Offer::REBUILD,
        Some(ColumnKey::Primary) if !subject.table.is_in_primary_key(&changed.old.name.text) => {
            Offer::REBUILD
        }
        _ => Offer::INSTANT,
    };
    Some(Ruling::can(offer, format!("`{name}` is defined anew")))
}
