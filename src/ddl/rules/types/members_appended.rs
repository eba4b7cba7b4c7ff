//! Members are appended.

use crate::ddl::conversion::Conversion;
use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D204",
    name: "members_appended",
    sentence: "members are appended to an ENUM or SET that takes as many bytes as before: rows stay as they \
               are",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    if changed.conversion(subject) != Conversion::Appended {
        return None;
    }
    Some(Ruling::can(Offer::INSTANT, format!("`{}` has more members", changed.old.name.text)))
}
