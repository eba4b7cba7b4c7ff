//! A new column whose default is computed.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, DefaultValue};

pub(super) static RULE: Rule = Rule {
    id: "D103",
    name: "expression_default",
    sentence: "the default of a new column is an expression: the server copies the table to fill it, and \
               replicas may compute other values",
    remedy: "add the column without it, set the default in a second statement, fill old rows in batches",
    source: "MySQL manual, Data Type Default Values; MariaDB documentation, CREATE TABLE: DEFAULT",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::AddColumn { column, .. } = &subject.clause.kind else { return None };
    let Some(DefaultValue::Expression(_)) = &column.default else { return None };
    let why = format!("the default of `{}` is an expression", column.name.text);
    Some(Ruling::says(Effect::Refuse, why).offering(Offer::COPY))
}
