//! An engine or version outside the matrices.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};
use crate::ddl::table::is_known;

pub(super) static RULE: Rule = Rule {
    id: "D504",
    name: "not_innodb",
    sentence: "what is known is about InnoDB on MySQL from 8.0 and MariaDB from 10.11; anything else is \
               copied",
    remedy: "none needed",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let is_known = whole.table.is_innodb() && is_known(whole.table.server);
    (!is_known && whole.is_alter() && whole.table.definition.is_some()).then(|| {
        let why = "the engine or the server's version is not among those known".to_owned();
        Ruling::says(Effect::Copy, why).offering(Offer::COPY)
    })
}
