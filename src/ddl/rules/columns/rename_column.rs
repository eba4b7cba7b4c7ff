//! A column is renamed.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D107",
    name: "rename_column",
    sentence: "renames a column: running code uses the old name until it has restarted, new code the new one",
    remedy: "add a column of the new name, write both, fill it, read it, then drop the old one; or \
               acknowledge",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let (from, to) = match &subject.clause.kind {
        ClauseKind::RenameColumn { from, to } => (from, to),
        ClauseKind::ChangeColumn { from, column, .. } => (from, &column.name),
        _ => return None,
    };
    if from.text == to.text {
        return None;
    }
    let is_instant = subject.is_mariadb() || subject.is_mysql_from(80_028);
    let offer = if is_instant { Offer::INSTANT } else { Offer::METADATA };
    let why = format!("`{}` becomes `{}`", from.text, to.text);
    Some(Ruling::says(Effect::Acknowledge, why).offering(offer).breaking())
}
