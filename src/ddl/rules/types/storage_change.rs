//! How a column is stored.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D206",
    name: "storage_change",
    sentence: "the storage format, compression, versioning or reference system of a column changes",
    remedy: "none needed: it is copied online",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    let is_same = changed.old.storage == changed.new.storage && changed.old.srid == changed.new.srid;
    if is_same {
        return None;
    }
    let why = format!("`{}` is stored otherwise", changed.old.name.text);
    let srid = changed.old.srid != changed.new.srid;
    Some(
        if srid { Ruling::says(Effect::Proof, why).losing() } else { Ruling::says(Effect::Copy, why) }
            .offering(Offer::COPY),
    )
}
