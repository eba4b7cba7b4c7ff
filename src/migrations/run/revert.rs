//! Taking a change back: the old table is the shadow, and has its rows already.
//!
//! The old table takes the shadow's name of the migration that takes the change back. What was changed since
//! the exchange is applied to it from the binary log; then both are compared and exchanged as always. When
//! that comes to nothing the table is put back under its old name. Once changes may have been applied to it
//! the change cannot be taken back again; before, it can.

use super::prepare::Prepared;
use super::runner::{Runner, names};
use super::step::Step;
use super::trouble::Trouble;
use crate::backend::direct::{Direct, DirectError};
use crate::ids::MigrationId;
use crate::migrations::changes::Position;
use crate::migrations::engine::{self, ShadowRequest, Source};
use crate::migrations::ledger::{Definitions, Record, tables};
use crate::migrations::plan::read_change;
use crate::sql::quote::identifier;
use crate::sql::{ClauseKind, ServerVersion, SqlMode, TableChange};

/// "Table doesn't exist".
const ER_NO_SUCH_TABLE: u16 = 1146;
/// "Can't find file", which older servers say of it.
const ER_FILE_NOT_FOUND: u16 = 1017;
/// "Unknown database": a migration's own, which was not made or is dropped.
const ER_BAD_DB: u16 = 1049;
/// "Table already exists".
const ER_TABLE_EXISTS: u16 = 1050;

impl Runner {
    /// From the request to a shadow that is the old table.
    pub(super) async fn prepare_revert(
        &self,
        conn: &mut Direct,
        record: &Record,
        source: &Source,
    ) -> Result<Prepared, Trouble> {
        let gone = || Trouble::failed("the old table of the migration is not kept any more");
        let original = record.reverts.as_ref().and_then(|id| self.shared.ledger.get(id)).ok_or_else(gone)?;
        let position = original.kept.as_ref().and_then(|kept| kept.position.clone()).ok_or_else(gone)?;
        let position: Position = position.parse().map_err(|_| gone())?;
        let resumes = record.step > Step::Subscribe;
        let mut record = record.clone();
        if record.has_own_databases != original.has_own_databases {
            record.has_own_databases = original.has_own_databases;
            let own = record.has_own_databases;
            self.update(|record| record.has_own_databases = own).await?;
        }
        tables::make_own_databases(conn, &record).await?;
        if !resumes {
            self.begin(Step::Shadow).await?;
            let old = qualified(&original.old_home(), &original.old());
            rename(conn, &old, &names(&record).target()).await?;
        }
        let text = self.reversed(conn, &original)?;
        let names = names(&record);
        let request = ShadowRequest {
            id: &self.id,
            epoch: self.epoch(),
            names: &names,
            text: &text,
            settings: &original.request.settings,
            late_indexes_bytes_max: 0,
            is_whole: false,
            known: &self.shared.known,
        };
        let plan = if resumes {
            engine::read_plan(conn, &request, source).await?
        } else {
            engine::adopt_shadow(conn, &request, source).await?
        };
        let before = source.shown.clone();
        if !resumes {
            let after = original.definitions.as_ref().map(|known| known.before.clone()).unwrap_or_default();
            let made = Definitions { before: before.clone(), after };
            self.update(|record| record.definitions = Some(made.clone())).await?;
        }
        Ok(Prepared { plan: plan.into(), before, resumes, replay_from: Some(position) })
    }

    /// A statement that gives renamed columns their old names: what a plan has to know of the way back.
    fn reversed(&self, conn: &Direct, original: &Record) -> Result<String, Trouble> {
        let server = ServerVersion::parse(&conn.version().text).unwrap_or_default();
        let mode = SqlMode { server, ..SqlMode::default() }.with_names(&original.request.settings.sql_mode);
        let change = read_change(original.request.text.as_bytes(), mode)
            .map_err(|refusal| Trouble::failed(refusal.to_string()))?;
        Ok(reversed(&original.request.table, &change))
    }

    /// The change is taken back: the old table of the first exchange is the client's again.
    pub(super) async fn note_reverted(&self, original: &MigrationId) {
        let id = self.id.clone();
        let noted = self.shared.ledger.update(original, |record| {
            record.kept = None;
            record.reverted_by = Some(id.clone());
        });
        match noted.await {
            Ok(Some(record)) => self.write_on_cluster(&record).await,
            Ok(None) => {}
            Err(error) => tracing::warn!(id = %self.id, %error, "that it was taken back is not noted"),
        }
    }

    /// It came to nothing: the old table gets its name back, and is kept until its time is over.
    pub(super) async fn put_back(
        &self,
        conn: &mut Direct,
        record: &Record,
        original: &MigrationId,
    ) -> Result<(), Trouble> {
        let Some(first) = self.shared.ledger.get(original) else { return Ok(()) };
        put_back(conn, record, &first).await?;
        if record.has_replayed {
            let changed = self.shared.ledger.update(original, |record| {
                if let Some(kept) = &mut record.kept {
                    kept.position = None;
                }
            });
            changed.await?;
        }
        Ok(())
    }
}

/// Gives the kept table of a migration its name back, unless it has it.
pub(in crate::migrations) async fn put_back(
    conn: &mut Direct,
    revert: &Record,
    original: &Record,
) -> Result<(), DirectError> {
    tables::make_own_databases(conn, original).await?;
    let old = qualified(&original.old_home(), &original.old());
    rename(conn, &names(revert).target(), &old).await
}

fn qualified(home: &str, table: &str) -> String {
    format!("{}.{}", identifier(home), identifier(table))
}

/// Renames a table, unless an earlier attempt has.
async fn rename(conn: &mut Direct, from: &str, to: &str) -> Result<(), DirectError> {
    match conn.execute(format!("RENAME TABLE {from} TO {to}")).await {
        Ok(_) => Ok(()),
        Err(error) if is_gone(&error) => {
            // Then it has the new name, or there is nothing to go on with.
            conn.query(format!("SELECT 1 FROM {to} LIMIT 1")).await?;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn is_gone(error: &DirectError) -> bool {
    matches!(error.errno(), Some(ER_NO_SUCH_TABLE | ER_FILE_NOT_FOUND | ER_TABLE_EXISTS | ER_BAD_DB))
}

fn reversed(table: &str, change: &TableChange) -> String {
    let renames: Vec<String> = change
        .clauses
        .iter()
        .filter_map(|clause| match &clause.kind {
            ClauseKind::RenameColumn { from, to } => Some((&from.text, &to.text)),
            ClauseKind::ChangeColumn { from, column, .. } => Some((&from.text, &column.name.text)),
            _ => None,
        })
        .filter(|(from, to)| !from.eq_ignore_ascii_case(to))
        .map(|(from, to)| format!("RENAME COLUMN {} TO {}", identifier(to), identifier(from)))
        .collect();
    let clauses = if renames.is_empty() { "FORCE".to_owned() } else { renames.join(", ") };
    format!("ALTER TABLE {} {clauses}", identifier(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_columns_get_their_names_back() {
        let back = |text: &str| {
            let change = read_change(text.as_bytes(), SqlMode::default()).unwrap();
            reversed("t", &change)
        };
        assert_eq!(back("ALTER TABLE t MODIFY n BIGINT"), "ALTER TABLE `t` FORCE");
        assert_eq!(
            back("ALTER TABLE t CHANGE a b BIGINT, RENAME COLUMN c TO d, CHANGE e E INT"),
            "ALTER TABLE `t` RENAME COLUMN `b` TO `a`, RENAME COLUMN `d` TO `c`"
        );
    }
}
