//! Rows that cannot be told apart.

use crate::ddl::rules::{Check, Effect, Rule, Ruling, Whole};
use crate::ddl::table::{Table, is_same};
use crate::sql::{ClauseKind, ColumnKey, KeyKind, TableDefinition};

pub(super) static RULE: Rule = Rule {
    id: "D505",
    name: "no_row_key",
    sentence: "a copy needs a primary key or a unique key over whole NOT NULL columns of integers, dates, \
               text or bytes that the table has before and after",
    remedy: "first add a primary key by hand, on the server, with ALGORITHM=INPLACE and LOCK=NONE",
    source: "Bulkhead, docs/schema-changes.md",
    check: Check::Statement(check),
};

fn check(whole: &Whole<'_>) -> Option<Ruling> {
    let definition = whole.table.definition?;
    if !whole.is_copied || has_lasting_key(whole) {
        return None;
    }
    let why = format!("`{}` has no unique key that stays", definition.name.name.text);
    Some(Ruling::says(Effect::Refuse, why))
}

/// Says whether a key by which rows can be told apart is there before and after.
fn has_lasting_key(whole: &Whole<'_>) -> bool {
    let Some(definition) = whole.table.definition else { return false };
    let mut kept: TableDefinition = definition.clone();
    for clause in &whole.change.clauses {
        match &clause.kind {
            ClauseKind::DropPrimaryKey => drop_primary(&mut kept),
            ClauseKind::DropKey(name) | ClauseKind::DropConstraint(name) => {
                let is_it = |key: &crate::sql::KeyDefinition| {
                    key.name.as_ref().is_some_and(|known| is_same(&known.text, &name.text))
                };
                kept.keys.retain(|key| !is_it(key));
            }
            ClauseKind::DropColumn { name, .. } => {
                kept.columns.retain(|column| !is_same(&column.name.text, &name.text));
            }
            _ => {}
        }
    }
    let table = Table { definition: Some(&kept), ..whole.table };
    !table.row_keys().is_empty()
}

fn drop_primary(table: &mut TableDefinition) {
    table.keys.retain(|key| key.kind != KeyKind::Primary);
    let primary = table.columns.iter_mut().filter(|column| column.key == Some(ColumnKey::Primary));
    primary.for_each(|column| column.key = None);
}
