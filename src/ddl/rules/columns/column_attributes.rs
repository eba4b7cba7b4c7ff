//! What else MODIFY and CHANGE say.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D110",
    name: "column_attributes",
    sentence: "comment, default and visibility of a column are definition alone",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    Some(Ruling::can(Offer::INSTANT, format!("`{}` is defined anew", changed.new.name.text)))
}
