//! What is not copied, whatever the columns are.

use super::refusal::Refusal;
use crate::ddl::Table;
use crate::sql::{ChangeForm, ClauseKind, PartitionAction, TableChange};

/// What is known of a table besides its definition: asked of the server, of this table alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Names of its triggers.
    pub triggers: Vec<String>,
    /// Tables whose foreign keys point to it.
    pub referenced_by: Vec<String>,
    /// BASE TABLE, VIEW, ….
    pub table_type: String,
}

/// Refuses tables that cannot be put aside for a copy.
///
/// # Errors
/// The first reason.
pub(super) fn check_table(table: Table<'_>, facts: &Facts) -> Result<(), Refusal> {
    let definition = table.definition.expect("the definition is given");
    if facts.table_type != "BASE TABLE" {
        return Err(Refusal::new(format!("it is a {}", facts.table_type), "change the tables below it"));
    }
    if let Some(trigger) = facts.triggers.first() {
        return Err(Refusal::new(
            format!("trigger {trigger} would stay with the old table"),
            "drop the triggers, change the table, make them again",
        ));
    }
    if let Some(other) = facts.referenced_by.first() {
        return Err(Refusal::new(
            format!("a foreign key of {other} points to the table: it would point to the one put aside"),
            "drop the foreign key first, or keep the reference in the application",
        ));
    }
    if !definition.foreign_keys.is_empty() {
        return Err(Refusal::new(
            "the table has foreign keys: the copy's would be others, checked twice",
            "drop the foreign keys first, or keep the references in the application",
        ));
    }
    let is_versioned = table.option("SYSTEM VERSIONING").is_some()
        || definition.columns.iter().any(|column| {
            column.storage.iter().any(|word| word.contains("VERSIONING") || word.starts_with("ROW "))
        });
    if is_versioned {
        return Err(Refusal::new(
            "the history of a system-versioned table would not survive a copy",
            "drop the versioning by hand first",
        ));
    }
    if definition.temporary {
        return Err(Refusal::new("the table is temporary", "make it anew as it should be"));
    }
    check_engine(table)
}

fn check_engine(table: Table<'_>) -> Result<(), Refusal> {
    if table.is_innodb() {
        return Ok(());
    }
    Err(Refusal::new(
        "the table is not InnoDB's: without transactions nothing can be compared at one moment",
        "convert it by hand, with writes stopped",
    ))
}

/// Refuses statements that mean something else on an empty table, or that are about more than the table.
///
/// # Errors
/// The first reason.
pub(super) fn check_change(change: &TableChange) -> Result<(), Refusal> {
    use PartitionAction::{Drop, Exchange, Maintain, Tablespace, Truncate};
    let direct = "run it directly, in a statement of its own";
    match change.form {
        ChangeForm::Alter { .. }
        | ChangeForm::CreateIndex
        | ChangeForm::DropIndex(_)
        | ChangeForm::Optimize => {}
        _ => return Err(Refusal::new("the statement does not change a table's definition", direct)),
    }
    if !change.more_tables.is_empty() {
        return Err(Refusal::new("the statement is about several tables", "use a statement for each table"));
    }
    for clause in &change.clauses {
        match &clause.kind {
            ClauseKind::RenameTable(_) => {
                return Err(Refusal::new(
                    "the statement renames the table too",
                    "rename it in a statement of its own",
                ));
            }
            ClauseKind::AddForeignKey(_) => {
                return Err(Refusal::new(
                    "a foreign key cannot be added by a copy",
                    "keep the reference in the application, or a plain index",
                ));
            }
            ClauseKind::Partition(Drop | Truncate | Exchange | Maintain | Tablespace) => {
                return Err(Refusal::new(
                    "what is done with the partition's rows would not be done by a copy",
                    direct,
                ));
            }
            ClauseKind::Tablespace | ClauseKind::SecondaryEngine | ClauseKind::SystemVersioning => {
                return Err(Refusal::new("a clause is about files, engines or versions of rows", direct));
            }
            ClauseKind::Unknown => return Err(Refusal::new("a clause is not known here", direct)),
            _ => {}
        }
    }
    Ok(())
}
