//! A new AUTO_INCREMENT column.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D105",
    name: "counting_column",
    sentence: "adds an AUTO_INCREMENT column: every row gets a number, which no copy could give it twice, \
               and the server would hold up writes meanwhile",
    remedy: "add it nullable and without AUTO_INCREMENT, fill it, then make it the key; a table that nobody \
             uses yet may have one",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::AddColumn { column, .. } = &subject.clause.kind else { return None };
    column.auto_increment.then(|| {
        let why = format!("`{}` numbers every row", column.name.text);
        Ruling::says(Effect::RefuseInUse, why).offering(Offer::REBUILD_LOCKED)
    })
}
