//! A generated column becomes another.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D114",
    name: "generated_change",
    sentence: "the expression of a generated column changes, or whether it is generated or stored",
    remedy: "add a column with the new expression and drop the old one",
    source: "MySQL manual, Online DDL Operations: Generated Column Operations; MariaDB documentation, \
               Generated Columns",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    let (old, new) = (changed.old.generated.as_ref(), changed.new.generated.as_ref());
    let name = &changed.old.name.text;
    match (old, new) {
        (None, None) => None,
        (Some(old), Some(new)) if old.stored == new.stored && old.expression.text == new.expression.text => {
            None
        }
        (Some(old), Some(new)) if old.stored == new.stored => {
            Some(Ruling::can(Offer::COPY, format!("the expression of `{name}` may change")))
        }
        _ => {
            let why =
                format!("`{name}` becomes or ends to be generated or stored: its values cannot be compared");
            Some(Ruling::says(Effect::Refuse, why).offering(Offer::COPY).losing())
        }
    }
}
