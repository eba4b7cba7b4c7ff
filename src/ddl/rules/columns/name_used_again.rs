//! A name that means two columns.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::ddl::table::is_same;
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D116",
    name: "name_used_again",
    sentence: "a name is given up and taken again in one statement: the new column would not carry the old \
               values, and a copy could not tell them apart",
    remedy: "use two statements",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let taken = match &subject.clause.kind {
        ClauseKind::AddColumn { column, .. } => &column.name.text,
        ClauseKind::RenameColumn { to, .. } => &to.text,
        ClauseKind::ChangeColumn { from, column, .. } if from.text != column.name.text => &column.name.text,
        _ => return None,
    };
    let given_up = subject.other_clauses().any(|clause| match &clause.kind {
        ClauseKind::DropColumn { name, .. } => is_same(&name.text, taken),
        ClauseKind::RenameColumn { from, .. } => is_same(&from.text, taken),
        ClauseKind::ChangeColumn { from, column, .. } => {
            is_same(&from.text, taken) && !is_same(&column.name.text, taken)
        }
        _ => false,
    });
    given_up.then(|| Ruling::says(Effect::Refuse, format!("`{taken}` is given up and taken again")).losing())
}
