//! Virtual columns and other changes.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D511",
    name: "mixed_virtual",
    sentence: "adding or dropping virtual columns does not go together with other changes, and with MariaDB \
               a virtual column in the table makes other changes copy",
    remedy: "use a statement for each",
    source: "MySQL manual, Online DDL Operations: Generated Column Operations; MariaDB documentation, \
               Generated Columns",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    if !subject.is_mariadb() || !subject.table.has_virtual_column() {
        return None;
    }
    let is_moved = match &subject.clause.kind {
        ClauseKind::AddColumn { position, .. } => {
            position.is_some() || subject.has_other(|kind| matches!(kind, ClauseKind::DropColumn { .. }))
        }
        ClauseKind::DropColumn { name, .. } => {
            subject.table.is_in_key(&name.text, |_| true)
                || subject.has_other(|kind| matches!(kind, ClauseKind::AddColumn { .. }))
        }
        ClauseKind::ChangeColumn { column, position, .. } => {
            let old = subject.table.column(&column.name.text);
            let is_null_change = old.is_some_and(|old| {
                column.generated.is_none()
                    && subject.table.is_not_null(old) != (column.nullable == Some(false))
            });
            position.is_some() || is_null_change
        }
        _ => false,
    };
    is_moved.then(|| Ruling::can(Offer::COPY, "the table has a virtual column".to_owned()))
}
