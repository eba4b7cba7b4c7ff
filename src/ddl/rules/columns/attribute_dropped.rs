//! What MODIFY does not repeat.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::DefaultValue;

pub(super) static RULE: Rule = Rule {
    id: "D117",
    name: "attribute_dropped",
    sentence: "MODIFY and CHANGE define a column anew: what they do not repeat is dropped",
    remedy: "repeat the attributes that are to stay, or use ALTER COLUMN … SET DEFAULT",
    source: "MySQL manual, ALTER TABLE Statement: Renaming, Redefining, and Reordering Columns",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    let (old, new) = (changed.old, changed.new);
    let has_default = old.default.as_ref().is_some_and(|value| *value != DefaultValue::Null);
    let has_comment = old.comment.as_ref().is_some_and(|comment| !comment.is_empty());
    let dropped: Vec<&str> = [
        (has_default && new.default.is_none(), "the default"),
        (has_comment && new.comment.is_none(), "the comment"),
        (old.on_update && !new.on_update, "ON UPDATE"),
        (old.invisible && !new.invisible, "INVISIBLE"),
    ]
    .into_iter()
    .filter_map(|(is, what)| is.then_some(what))
    .collect();
    if dropped.is_empty() {
        return None;
    }
    let why = format!("{} of `{}` is not repeated", dropped.join(", "), old.name.text);
    Some(Ruling::says(Effect::Note, why))
}
