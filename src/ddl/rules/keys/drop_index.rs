//! An index is dropped.

use crate::ddl::offer::Offer;
use crate::ddl::rules::ConstraintKind;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::ddl::table::is_same;
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D304",
    name: "drop_index",
    sentence: "drops an index: at once, and it takes hours to get back",
    remedy: "first make it INVISIBLE (MySQL) or IGNORED (MariaDB), and drop it when nothing got slower",
    source: "MySQL manual, Online DDL Operations: Index Operations; MariaDB documentation, InnoDB Online DDL \
               Operations with the NOCOPY Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let name = match &subject.clause.kind {
        ClauseKind::DropKey(name) => name,
        ClauseKind::DropConstraint(name)
            if subject.constraint_is(&name.text) == Some(ConstraintKind::Key) =>
        {
            name
        }
        _ => return None,
    };
    let key = subject
        .table
        .keys()
        .iter()
        .find(|key| key.name.as_ref().is_some_and(|known| is_same(&known.text, &name.text)));
    let is_hidden = key.is_some_and(|key| key.invisible);
    let effect = if is_hidden { Effect::Allow } else { Effect::Note };
    Some(Ruling::says(effect, format!("the index `{}` is dropped", name.text)).offering(Offer::METADATA))
}
