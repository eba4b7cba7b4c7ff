//! TIMESTAMP and the other times.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::TypeKind;

pub(super) static RULE: Rule = Rule {
    id: "D208",
    name: "moment_change",
    sentence: "a TIMESTAMP is a moment, a DATETIME what a clock shows somewhere: what becomes of a value \
               depends on the time zone of who asks, and no proof tells which one was meant",
    remedy: "add a column of the new type, fill it with CONVERT_TZ or in the application, then drop the \
             old one",
    source: "MySQL manual, The DATE, DATETIME, and TIMESTAMP Types; MariaDB documentation, TIMESTAMP",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    use TypeKind::{Date, DateTime, Time, Timestamp};
    let changed = subject.changed_column()?;
    let (old, new) = changed.types(subject);
    let is_other = |kind: &TypeKind| matches!(kind, DateTime | Date | Time);
    let is_mixed =
        (old.kind == Timestamp && is_other(&new.kind)) || (new.kind == Timestamp && is_other(&old.kind));
    is_mixed.then(|| {
        let why = format!("`{}` changes between a moment and a time of some clock", changed.old.name.text);
        Ruling::says(Effect::Refuse, why)
    })
}
