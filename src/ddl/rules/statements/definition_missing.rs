//! No definition of the table.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};
use crate::sql::ChangeForm;

pub(super) static RULE: Rule = Rule {
    id: "D502",
    name: "definition_missing",
    sentence: "without the table's present definition nothing can be said",
    remedy: "give it: --table-from FILE or --schema FILE with SHOW CREATE TABLE",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let needs = matches!(
        whole.change.form,
        ChangeForm::Alter { .. } | ChangeForm::CreateIndex | ChangeForm::DropIndex(_) | ChangeForm::Optimize
    );
    (needs && whole.table.definition.is_none()).then(|| {
        let why = format!("the definition of `{}` is not known", whole.change.table.name.text);
        Ruling::says(Effect::Refuse, why)
    })
}
