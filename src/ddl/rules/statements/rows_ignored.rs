//! ALTER IGNORE.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};
use crate::sql::ChangeForm;

pub(super) static RULE: Rule = Rule {
    id: "D509",
    name: "rows_ignored",
    sentence: "ALTER IGNORE TABLE drops rows that do not fit, silently",
    remedy: "leave IGNORE out",
    source: "MariaDB documentation, ALTER TABLE",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let is_alter = matches!(whole.change.form, ChangeForm::Alter { .. });
    (is_alter && whole.change.ignore).then(|| {
        Ruling::says(Effect::Refuse, "rows that do not fit are dropped".to_owned())
            .offering(Offer::COPY)
            .losing()
    })
}
