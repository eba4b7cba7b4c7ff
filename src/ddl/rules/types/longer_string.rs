//! A VARCHAR grows.

use crate::ddl::conversion::Conversion;
use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D203",
    name: "longer_string",
    sentence: "a VARCHAR or VARBINARY grows and its length still takes as many bytes: rows stay as they are",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    if changed.conversion(subject) != Conversion::Grown {
        return None;
    }
    let offer = if subject.is_mariadb() { Offer::INSTANT } else { Offer::METADATA };
    Some(Ruling::can(offer, format!("`{}` may be longer", changed.old.name.text)))
}
