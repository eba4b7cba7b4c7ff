//! A definition after a change, for the statements of a file that follow each other.

use super::resolved::takes_charset;
use super::table::is_same;
use crate::sql::{
    Clause, ClauseKind, ColumnChange, ColumnDefinition, KeyDefinition, KeyKind, KeyPart, Name, Position,
    Span, TableChange, TableDefinition, TableOption,
};

/// The definition as it is once the statement has run. What cannot be followed (partitions, constraints by
/// name alone) is left as it was.
pub fn apply(table: &mut TableDefinition, change: &TableChange) {
    let is_charset = |clause: &Clause| match &clause.kind {
        ClauseKind::Option(option) => is_charset_option(option),
        ClauseKind::Convert { .. } => true,
        _ => false,
    };
    if change.clauses.iter().any(is_charset) {
        name_charsets(table);
    }
    for clause in &change.clauses {
        apply_clause(table, &clause.kind);
    }
}

fn apply_clause(table: &mut TableDefinition, clause: &ClauseKind) {
    match clause {
        ClauseKind::AddColumn { column, position } => {
            place(table, (**column).clone(), position.as_ref(), None)
        }
        ClauseKind::DropColumn { name, .. } => drop_column(table, &name.text),
        ClauseKind::ChangeColumn { from, column, position } => {
            let Some(at) = index_of(table, &from.text) else { return };
            let mut column = (**column).clone();
            column.key = column.key.or(table.columns[at].key);
            rename_in_keys(table, &from.text, &column.name);
            table.columns.remove(at);
            place(table, column, position.as_ref(), Some(at));
        }
        ClauseKind::RenameColumn { from, to } => {
            rename_in_keys(table, &from.text, to);
            if let Some(at) = index_of(table, &from.text) {
                table.columns[at].name = to.clone();
            }
        }
        ClauseKind::AlterColumn { name, change } => {
            if let Some(at) = index_of(table, &name.text) {
                alter_column(&mut table.columns[at], change);
            }
        }
        ClauseKind::AddForeignKey(key) => table.foreign_keys.push((**key).clone()),
        ClauseKind::DropForeignKey(name) => {
            table.foreign_keys.retain(|key| !is_named(key.name.as_ref(), name))
        }
        ClauseKind::AddCheck(check) => table.checks.push((**check).clone()),
        ClauseKind::DropCheck(name) => table.checks.retain(|check| !is_named(check.name.as_ref(), name)),
        ClauseKind::DropConstraint(name) => {
            table.foreign_keys.retain(|key| !is_named(key.name.as_ref(), name));
            table.checks.retain(|check| !is_named(check.name.as_ref(), name));
            table.keys.retain(|key| !is_named(key.name.as_ref(), name));
        }
        ClauseKind::Option(option) => set_option(table, option),
        ClauseKind::Convert { charset, collation } => convert(table, charset.as_ref(), collation.as_ref()),
        ClauseKind::RenameTable(name) => table.name = name.clone(),
        ClauseKind::PartitionBy(by) => table.partitioning = Some(by.clone()),
        ClauseKind::RemovePartitioning => table.partitioning = None,
        other => apply_key(table, other),
    }
}

fn apply_key(table: &mut TableDefinition, clause: &ClauseKind) {
    match clause {
        ClauseKind::AddKey(key) => {
            let mut key = (**key).clone();
            if key.name.is_none() {
                key.name = implicit_name(&key);
            }
            table.keys.push(key);
        }
        ClauseKind::DropKey(name) => table.keys.retain(|key| !is_named(key.name.as_ref(), name)),
        ClauseKind::DropPrimaryKey => {
            table.keys.retain(|key| key.kind != KeyKind::Primary);
            for column in &mut table.columns {
                column.key = column.key.filter(|key| *key != crate::sql::ColumnKey::Primary);
            }
        }
        ClauseKind::RenameKey { from, to } => {
            for key in table.keys.iter_mut().filter(|key| is_named(key.name.as_ref(), from)) {
                key.name = Some(to.clone());
            }
        }
        ClauseKind::AlterKey { name, visible } => {
            for key in table.keys.iter_mut().filter(|key| is_named(key.name.as_ref(), name)) {
                key.invisible = !visible;
            }
        }
        _ => {}
    }
}

fn is_named(known: Option<&Name>, name: &Name) -> bool {
    known.is_some_and(|known| is_same(&known.text, &name.text))
}

fn index_of(table: &TableDefinition, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| is_same(&column.name.text, name))
}

/// A key without a name gets that of its first column.
fn implicit_name(key: &KeyDefinition) -> Option<Name> {
    match key.parts.first()? {
        KeyPart::Column { name, .. } if key.kind != KeyKind::Primary => Some(name.clone()),
        _ => None,
    }
}

fn place(
    table: &mut TableDefinition,
    column: ColumnDefinition,
    position: Option<&Position>,
    at: Option<usize>,
) {
    let end = table.columns.len();
    let at = match position {
        Some(Position::First) => 0,
        Some(Position::After(name)) => index_of(table, &name.text).map_or(end, |at| at + 1),
        None => at.unwrap_or(end),
    };
    table.columns.insert(at.min(end), column);
}

fn drop_column(table: &mut TableDefinition, name: &str) {
    table.columns.retain(|column| !is_same(&column.name.text, name));
    for key in &mut table.keys {
        key.parts.retain(
            |part| !matches!(part, KeyPart::Column { name: known, .. } if is_same(&known.text, name)),
        );
    }
    table.keys.retain(|key| !key.parts.is_empty());
}

fn rename_in_keys(table: &mut TableDefinition, from: &str, to: &Name) {
    for part in table.keys.iter_mut().flat_map(|key| &mut key.parts) {
        if let KeyPart::Column { name, .. } = part
            && is_same(&name.text, from)
        {
            *name = to.clone();
        }
    }
}

fn alter_column(column: &mut ColumnDefinition, change: &ColumnChange) {
    match change {
        ColumnChange::SetDefault(value) => column.default = Some(value.clone()),
        ColumnChange::DropDefault => column.default = None,
        ColumnChange::SetVisible(visible) => column.invisible = !visible,
    }
}

fn is_charset_option(option: &TableOption) -> bool {
    matches!(option.name.as_str(), "CHARACTER SET" | "COLLATE")
}

fn set_option(table: &mut TableDefinition, option: &TableOption) {
    // CHARACTER SET alone brings its own collation.
    let brings = |known: &TableOption| option.name == "CHARACTER SET" && known.name == "COLLATE";
    table.options.retain(|known| known.name != option.name && !brings(known));
    table.options.push(option.clone());
}

/// Texts that have the table's character set get it by name: they keep it when the table's changes.
fn name_charsets(table: &mut TableDefinition) {
    let option = |name: &str| {
        let found = table.options.iter().rev().find(|option| option.name == name);
        found.map(|option| option.value.to_ascii_lowercase())
    };
    let (charset, collation) = (option("CHARACTER SET"), option("COLLATE"));
    let types = table.columns.iter_mut().map(|column| &mut column.data_type);
    for of in types.filter(|of| takes_charset(&of.kind) && of.charset.is_none() && of.collation.is_none()) {
        of.charset.clone_from(&charset);
        of.collation.clone_from(&collation);
    }
}

/// CONVERT TO; without a name it is the database's, which is not known here.
fn convert(table: &mut TableDefinition, charset: Option<&String>, collation: Option<&String>) {
    table.options.retain(|option| !is_charset_option(option));
    let option = |(name, value): (&str, Option<&String>)| {
        value.map(|value| TableOption { name: name.to_owned(), value: value.clone(), span: Span::default() })
    };
    table.options.extend([("CHARACTER SET", charset), ("COLLATE", collation)].into_iter().filter_map(option));
    for of in table.columns.iter_mut().map(|column| &mut column.data_type) {
        if takes_charset(&of.kind) && of.charset.as_deref() != Some("binary") {
            (of.charset, of.collation, of.binary) = (None, None, false);
        }
    }
}
