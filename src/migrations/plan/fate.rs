//! What a statement makes of each column's name.

use crate::sql::{ClauseKind, ColumnDefinition, Name, TableChange, TableDefinition};

/// Names compared as servers compare names of columns and keys.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// Columns that a statement renames and drops. What is added under a name that is neither is refused by the
/// server.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate<'a> {
    renamed: Vec<(&'a Name, &'a Name)>,
    dropped: Vec<&'a Name>,
}

impl<'a> Fate<'a> {
    pub(super) fn of(change: &'a TableChange) -> Self {
        let mut fate = Self::default();
        for clause in &change.clauses {
            match &clause.kind {
                ClauseKind::RenameColumn { from, to } => fate.renamed.push((from, to)),
                ClauseKind::ChangeColumn { from, column, .. } => fate.renamed.push((from, &column.name)),
                ClauseKind::DropColumn { name, .. } => fate.dropped.push(name),
                _ => {}
            }
        }
        fate
    }

    /// The column of the shadow that carries the values of this one; `None` when they end.
    pub(super) fn target<'s>(
        &self,
        column: &str,
        shadow: &'s TableDefinition,
    ) -> Option<&'s ColumnDefinition> {
        let renamed = self.renamed.iter().find(|(from, _)| is_same(&from.text, column));
        let name = match renamed {
            Some((_, to)) => to.text.as_str(),
            None if self.dropped.iter().any(|name| is_same(&name.text, column)) => return None,
            None => column,
        };
        shadow.columns.iter().find(|known| is_same(&known.name.text, name))
    }
}
