//! A table or its rows are dropped.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};
use crate::sql::ChangeForm;

pub(super) static RULE: Rule = Rule {
    id: "D408",
    name: "drop_table",
    sentence: "drops a table, or all of its rows: they are gone, and running code still asks for them",
    remedy: "none needed; where rows may be missed, rename it first, and drop it when nothing asked for it",
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
    // Told, and done: it says what it does, and every test suite and `rails db:schema:load` does it.
    Some(Ruling::says(Effect::Note, why))
}
