//! A table or its rows are dropped.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};
use crate::sql::ChangeForm;

pub(super) static RULE: Rule = Rule {
    id: "D408",
    name: "drop_table",
    sentence: "drops a table, or all of its rows: they are gone, and running code still asks for them",
    remedy: "rename it first, wait until nothing asks for it, then drop it with an acknowledgement",
    source: "MySQL manual, DROP TABLE Statement; MariaDB documentation, DROP TABLE",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let drops = matches!(whole.change.form, ChangeForm::Drop | ChangeForm::Truncate)
        || (matches!(whole.change.form, ChangeForm::Create(_)) && whole.change.ignore);
    if !drops || whole.change.temporary {
        return None;
    }
    let why = format!("`{}` loses all rows", whole.change.table.name.text);
    // TRUNCATE leaves the table to the code that asks for it, but resets the counter by which a table is told
    // to have never been used: afterwards everything would be let through.
    Some(Ruling::says(Effect::Acknowledge, why).losing().breaking())
}
