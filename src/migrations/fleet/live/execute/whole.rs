//! Tables that are made and put away, and views.

use std::time::SystemTime;

use super::direct::{Sent, send};
use super::hold::Hold;
use super::trouble::{Trouble, failure_of};
use super::{Done, LiveExecutor};
use crate::migrations::ARTIFACTS;
use crate::migrations::fleet::definition::Definition;
use crate::migrations::fleet::ledger::{OrderStep, StepKind};
use crate::migrations::fleet::live::survey::Found;
use crate::migrations::fleet::schedule::Work;
use crate::migrations::ledger::{new_id, tables};
use crate::sql::quote::{identifier, string};

/// "Duplicate check constraint name": where old tables of several databases meet.
const DUPLICATE_CHECK: u16 = 3822;

impl LiveExecutor {
    /// Makes a table or view, or drops a view.
    pub(super) async fn make(&self, work: &Work, step: &OrderStep, hold: &mut Hold) -> Result<Done, Trouble> {
        match send(work, hold, step.text.as_bytes()).await? {
            Sent::Done => {}
            Sent::NotInPlace(error) => return Err(Trouble::Failed(failure_of(&error))),
        }
        if step.kind == StepKind::CreateTable {
            self.check_made(work, step, hold).await;
        }
        Ok(Done::Changed)
    }

    /// Renames a table away, into Bulkhead's own database, where it is dropped when its time is over.
    pub(super) async fn put_away(
        &self,
        work: &Work,
        step: &OrderStep,
        (found, hold): (&Found, &mut Hold),
    ) -> Result<Done, Trouble> {
        let Found::Defined(definition) = found else { return Err(Trouble::Gone) };
        self.check_no_references(work, step, hold).await?;
        tables::make(hold.direct()).await.map_err(Trouble::of_change)?;
        let id = new_id(SystemTime::now());
        let table = format!("{}.{}", identifier(&work.database), identifier(&step.table));
        let away = moved_away(&table, definition);
        let rename = |home: &str| format!("{away} {}.old_{id}", identifier(home));
        let mut home = ARTIFACTS.to_owned();
        let done = match send(work, hold, rename(&home).as_bytes()).await {
            Err(Trouble::Failed(failure)) if has_errno(&failure, DUPLICATE_CHECK) => {
                home = format!("{ARTIFACTS}_{id}_old");
                let make = format!("CREATE DATABASE IF NOT EXISTS {}", identifier(&home));
                hold.send(make).await.map_err(Trouble::of_change)?;
                let renamed = send(work, hold, rename(&home).as_bytes()).await;
                if renamed.is_err() {
                    // An empty database is cleared away later in any case.
                    let _ = hold.send(format!("DROP DATABASE IF EXISTS {}", identifier(&home))).await;
                }
                renamed
            }
            done => done,
        };
        match done? {
            Sent::Done => {
                let (fleet, database, name) = (&work.order.id, &work.database, &step.table);
                tracing::info!(
                    target: "bulkhead::fleet",
                    %fleet, database, table = name, home, old = %format!("old_{id}"), "a table is put away"
                );
                Ok(Done::Changed)
            }
            Sent::NotInPlace(error) => Err(Trouble::Failed(failure_of(&error))),
        }
    }

    /// A server drops no table that others refer to; to rename it would take the references along.
    async fn check_no_references(
        &self,
        work: &Work,
        step: &OrderStep,
        hold: &mut Hold,
    ) -> Result<(), Trouble> {
        // One schema: this opens no table of any other.
        let question = format!(
            "SELECT CONCAT(table_name, '.', constraint_name) FROM \
             information_schema.referential_constraints WHERE constraint_schema = {database} AND \
             unique_constraint_schema = {database} AND referenced_table_name = {table} \
             AND table_name <> {table} LIMIT 1",
            database = string(&work.database),
            table = string(&step.table),
        );
        match hold.text(question, 0).await? {
            None => Ok(()),
            Some(name) => Err(Trouble::failed(format!("the foreign key {name} refers to the table"))),
        }
    }
}

/// The statement that gives a table another name, up to that name. Without its foreign keys: they would go on
/// to hold the rows that they refer to, for as long as the table is kept.
fn moved_away(table: &str, definition: &Definition) -> String {
    let names = definition.table.foreign_keys.iter().filter_map(|key| key.name.as_ref());
    let drops: Vec<String> =
        names.map(|name| format!("DROP FOREIGN KEY {}", identifier(&name.text))).collect();
    if drops.is_empty() {
        return format!("RENAME TABLE {table} TO");
    }
    // One statement, so that nothing in between is ever found; and never a copy of the table.
    format!("ALTER TABLE {table} ALGORITHM=INPLACE, {}, RENAME TO", drops.join(", "))
}

fn has_errno(failure: &crate::migrations::Failure, errno: u16) -> bool {
    failure.server.as_ref().is_some_and(|(own, _)| *own == errno)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ServerVersion;

    #[test]
    fn foreign_keys_stay_behind() {
        let away = |keys: &str| {
            let text = format!("CREATE TABLE `t` (\n  `a` int,\n  `b` int{keys}\n) ENGINE=InnoDB");
            let definition = Definition::read(&text, ServerVersion::default()).unwrap();
            moved_away("`ws_1`.`t`", &definition)
        };
        assert_eq!(away(""), "RENAME TABLE `ws_1`.`t` TO");
        let keys = ",\n  CONSTRAINT `x` FOREIGN KEY (`a`) REFERENCES `o` (`id`),\n  \
                    CONSTRAINT `y``z` FOREIGN KEY (`b`) REFERENCES `o` (`id`) ON DELETE CASCADE";
        let drops = "DROP FOREIGN KEY `x`, DROP FOREIGN KEY `y``z`";
        assert_eq!(away(keys), format!("ALTER TABLE `ws_1`.`t` ALGORITHM=INPLACE, {drops}, RENAME TO"));
    }
}
