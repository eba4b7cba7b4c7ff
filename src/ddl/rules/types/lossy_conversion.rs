//! Values that do not fit.

use crate::ddl::conversion::Conversion;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D202",
    name: "lossy_conversion",
    sentence: "the new type cannot hold every value of the old one",
    remedy: "ask for a proof (--prove): the rows are scanned before anything is changed",
    source: "MySQL manual, Column Type Conversions in ALTER TABLE; Bulkhead, docs/schema-changes.md",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    let Conversion::Converted { loss: Some(loss) } = changed.conversion(subject) else { return None };
    let why = format!("`{}` could lose {loss}", changed.old.name.text);
    Some(Ruling::says(Effect::Proof, why).losing())
}
