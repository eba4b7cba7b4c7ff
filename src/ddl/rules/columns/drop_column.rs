//! A column is dropped.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D106",
    name: "drop_column",
    sentence: "drops a column: its values are gone, and running code that has cached the columns (Rails \
               does) names it in its next INSERT",
    remedy: "first deploy code that ignores it (self.ignored_columns), then drop it with an acknowledgement",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::DropColumn { name, if_exists } = &subject.clause.kind else { return None };
    let mut ruling = Ruling::says(Effect::Acknowledge, format!("`{}` and its values are dropped", name.text));
    ruling = ruling.breaking().losing();
    let Some(column) = subject.table.column(&name.text) else {
        return Some(if *if_exists { ruling.offering(Offer::INSTANT) } else { ruling });
    };
    let in_key = subject.table.is_in_key(&name.text, |_| true);
    let offer = match &column.generated {
        _ if subject.table.is_in_primary_key(&name.text) => Offer::COPY,
        Some(generated) if !generated.stored && !in_key => subject.virtual_offer(),
        // Its keys are made anew, in place only when nothing else is done.
        _ if subject.is_mariadb() && in_key && !subject.has_other(|_| true) => Offer::BUILD,
        _ if subject.is_mariadb() && in_key => Offer::REBUILD,
        _ if subject.is_mariadb() => Offer::INSTANT_OR_REBUILD,
        None if subject.is_mysql_from(80_032) && !in_key => Offer::INSTANT_OR_REBUILD,
        _ => Offer::REBUILD,
    };
    Some(ruling.offering(offer))
}
