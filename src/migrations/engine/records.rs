//! What is recorded on the cluster, in the transactions of the rows it is about.
//!
//! `zz_bulkhead.progress` has, for each migration: the position up to which changes are applied, the greatest
//! key at the start, the ranges that are copied, the definition that the source had, the statement that
//! builds the indexes left out. A resume reads nothing else.
//!
//! Beside them is the epoch that may write. Each transaction that writes rows checks it and keeps it locked
//! until its end, so whoever takes the migration up under a greater one ([`Records::enter`]) has waited for
//! the last transaction of the one before, and no other follows.

use super::error::EngineError;
use super::session::{meaning, rows, run};
use crate::backend::direct::{Direct, DirectError};
use crate::ids::MigrationId;
use crate::migrations::ARTIFACTS;
use crate::migrations::changes::Position;
use crate::migrations::copy::Copied;
use crate::migrations::ledger::tables::make_database;
use crate::migrations::plan::Key;
use crate::sql::quote;

/// "Unknown database".
const ER_BAD_DB: u16 = 1049;
/// "Table doesn't exist".
const ER_NO_SUCH_TABLE: u16 = 1146;

/// Makes the table.
fn create() -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {ARTIFACTS}.progress (\
         migration VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
         kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
         number BIGINT UNSIGNED NOT NULL, low LONGBLOB, high LONGBLOB, \
         rows_copied BIGINT UNSIGNED NOT NULL DEFAULT 0, \
         PRIMARY KEY (migration, kind, number)) ENGINE=InnoDB"
    )
}

/// What is recorded of one migration.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) position: Option<Position>,
    pub(crate) max: Option<Key>,
    pub(crate) copied: Vec<Copied>,
    pub(crate) rows_copied: u64,
    pub(crate) definition: Option<Vec<u8>>,
    pub(crate) late: Option<Vec<u8>>,
}

/// The SQL that records things of one migration.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    id: String,
    /// As text whose order is that of the numbers.
    epoch: String,
}

/// A record of which there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Single {
    Position,
    Max,
    Definition,
    Late,
}

impl Single {
    fn word(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Max => "max",
            Self::Definition => "definition",
            Self::Late => "late",
        }
    }
}

impl Records {
    pub(crate) fn new(id: &MigrationId, epoch: u64) -> Self {
        Self { id: quote::string(&id.to_string()), epoch: format!("'{epoch:016x}'") }
    }

    /// Makes this epoch the one that may write, unless a greater one may.
    ///
    /// # Errors
    /// [`EngineError::Superseded`].
    pub(crate) async fn enter(&self, direct: &mut Direct) -> Result<(), EngineError> {
        let (id, epoch) = (&self.id, &self.epoch);
        let enter = format!(
            "INSERT INTO {ARTIFACTS}.progress (migration,kind,number,high) VALUES ({id},'epoch',0,{epoch}) \
             ON DUPLICATE KEY UPDATE high = GREATEST(high, {epoch})"
        );
        let what = "entering the epoch";
        match direct.execute(&enter).await {
            Err(error) if is_missing(&error) => {
                Self::make(direct).await?;
                run(direct, enter, what).await?;
            }
            entered => drop(entered.map_err(|error| meaning(what, error))?),
        }
        let found = rows(direct, self.check(), what).await?;
        if found.is_empty() { Err(EngineError::Superseded) } else { Ok(()) }
    }

    /// Gives a row, and keeps it locked, while this epoch is the one that may write.
    pub(crate) fn check(&self) -> String {
        format!(
            "SELECT 1 FROM {ARTIFACTS}.progress WHERE migration = {} AND kind = 'epoch' AND number = 0 \
             AND high = {} LOCK IN SHARE MODE",
            self.id, self.epoch
        )
    }

    /// Runs one statement in a transaction that checks the epoch.
    ///
    /// # Errors
    /// [`EngineError::Superseded`]; nothing was done then.
    pub(crate) async fn guarded(
        &self,
        direct: &mut Direct,
        sql: impl AsRef<[u8]>,
        what: &'static str,
    ) -> Result<(), EngineError> {
        self.guarded_all(direct, &[sql], what).await
    }

    /// The same with several statements.
    ///
    /// # Errors
    /// As [`Self::guarded`].
    pub(crate) async fn guarded_all(
        &self,
        direct: &mut Direct,
        all: &[impl AsRef<[u8]>],
        what: &'static str,
    ) -> Result<(), EngineError> {
        run(direct, "START TRANSACTION", what).await?;
        let done = self.checked(direct, all, what).await;
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = run(direct, end, what).await;
        done.and(ended.map(drop))
    }

    async fn checked(
        &self,
        direct: &mut Direct,
        all: &[impl AsRef<[u8]>],
        what: &'static str,
    ) -> Result<(), EngineError> {
        if rows(direct, self.check(), what).await?.is_empty() {
            return Err(EngineError::Superseded);
        }
        for sql in all {
            run(direct, sql, what).await?;
        }
        Ok(())
    }

    /// Sets a single record.
    pub(crate) fn set(&self, what: Single, value: &[u8]) -> Vec<u8> {
        let front = format!(
            "REPLACE INTO {ARTIFACTS}.progress (migration,kind,number,high) VALUES ({},'{}',0,",
            self.id,
            what.word()
        );
        let mut sql = front.into_bytes();
        write_bytes(value, &mut sql);
        sql.push(b')');
        sql
    }

    /// Sets the position.
    pub(crate) fn set_position(&self, position: &Position) -> Vec<u8> {
        self.set(Single::Position, position.to_string().as_bytes())
    }

    /// Removes a single record.
    pub(crate) fn unset(&self, what: Single) -> String {
        let (id, kind) = (&self.id, what.word());
        format!("DELETE FROM {ARTIFACTS}.progress WHERE migration = {id} AND kind = '{kind}'")
    }

    /// Records a copied range. It is the first statement of the range's transaction: if the range was
    /// committed already by a connection that was lost, nothing of it is written twice.
    pub(crate) fn add_range(&self, copied: &Copied, rows: u64) -> Vec<u8> {
        let front = format!(
            "INSERT INTO {ARTIFACTS}.progress (migration,kind,number,low,high,rows_copied) VALUES \
                ({},'range',{},",
            self.id, copied.number
        );
        let mut sql = front.into_bytes();
        write_key(copied.low.as_ref(), &mut sql);
        sql.push(b',');
        write_key(Some(&copied.high), &mut sql);
        sql.extend_from_slice(format!(",{rows})").as_bytes());
        sql
    }

    /// The range recorded under a number, seen even if its transaction has not ended yet.
    pub(crate) fn select_range(&self, number: u64) -> String {
        format!(
            "SELECT low, high, rows_copied FROM {ARTIFACTS}.progress WHERE migration = {} AND kind = 'range' \
             AND number = {number} LOCK IN SHARE MODE",
            self.id
        )
    }

    /// Lets one record stand for all ranges up to it.
    pub(crate) fn compact(&self, all: &Copied) -> [String; 3] {
        let (id, number) = (&self.id, all.number);
        let ranges = format!("{ARTIFACTS}.progress WHERE migration = {id} AND kind = 'range' AND number");
        [
            format!("SET @bulkhead_rows = (SELECT SUM(rows_copied) FROM {ranges} < {number})"),
            format!("DELETE FROM {ranges} < {number}"),
            format!(
                "UPDATE {ARTIFACTS}.progress SET low = NULL, rows_copied = rows_copied + \
                 COALESCE(@bulkhead_rows, 0) WHERE migration = {id} AND kind = 'range' AND number = {number}"
            ),
        ]
    }

    /// Forgets what was done, for a beginning; the epoch stays.
    pub(crate) fn clear(&self) -> String {
        format!("DELETE FROM {ARTIFACTS}.progress WHERE migration = {} AND kind <> 'epoch'", self.id)
    }

    /// Forgets everything about the migration.
    pub(crate) fn forget(&self) -> String {
        format!("DELETE FROM {ARTIFACTS}.progress WHERE migration = {}", self.id)
    }

    /// Reads everything.
    pub(crate) async fn read(
        &self,
        direct: &mut Direct,
        key_columns: usize,
    ) -> Result<Recorded, EngineError> {
        let sql = format!(
            "SELECT kind, number, low, high, rows_copied FROM {ARTIFACTS}.progress WHERE migration = {}",
            self.id
        );
        let mut recorded = Recorded::default();
        let unreadable = || EngineError::TableChanged("the recorded progress cannot be read".to_owned());
        for row in rows(direct, sql, "reading the recorded progress").await?.iter() {
            let high = row.value(3).unwrap_or_default();
            match row.value(0).unwrap_or_default() {
                b"position" => {
                    let text = std::str::from_utf8(high).map_err(|_| unreadable())?;
                    recorded.position = Some(text.parse().map_err(|_| unreadable())?);
                }
                b"max" => recorded.max = Some(Key::parse(high, key_columns).ok_or_else(unreadable)?),
                b"definition" => recorded.definition = Some(high.to_vec()),
                b"late" => recorded.late = Some(high.to_vec()),
                b"range" => {
                    let low = row.value(2).map(|low| Key::parse(low, key_columns).ok_or_else(unreadable));
                    let high = Key::parse(high, key_columns).ok_or_else(unreadable)?;
                    let number = row.number(1).ok_or_else(unreadable)?;
                    recorded.copied.push(Copied { number, low: low.transpose()?, high });
                    recorded.rows_copied += row.number::<u64>(4).unwrap_or(0);
                }
                b"epoch" => {}
                _ => return Err(unreadable()),
            }
        }
        Ok(recorded)
    }

    /// Reads the definition that the source had.
    pub(crate) async fn read_definition(&self, direct: &mut Direct) -> Result<Option<Vec<u8>>, EngineError> {
        let sql = format!(
            "SELECT high FROM {ARTIFACTS}.progress WHERE migration = {} AND kind = 'definition'",
            self.id
        );
        let found = rows(direct, sql, "reading the recorded definition").await?;
        Ok(found.first().and_then(|row| row.value(0)).map(<[u8]>::to_vec))
    }

    /// Makes what records are kept in, if it is not there.
    pub(crate) async fn prepare(direct: &mut Direct) -> Result<(), EngineError> {
        let there = format!(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{ARTIFACTS}' \
             AND table_name = 'progress'"
        );
        let found = rows(direct, there, "looking for the table of progress").await?;
        if found.first().and_then(|row| row.number::<u32>(0)) == Some(1) {
            return Ok(());
        }
        Self::make(direct).await
    }

    async fn make(direct: &mut Direct) -> Result<(), EngineError> {
        let what = "making the table of progress";
        make_database(direct).await.map_err(|source| EngineError::Server { what, source })?;
        run(direct, create(), what).await.map(drop)
    }
}

/// Says whether a statement met no table of progress: nothing was recorded on the cluster yet.
pub(super) fn is_missing(error: &DirectError) -> bool {
    matches!(error.errno(), Some(ER_BAD_DB | ER_NO_SUCH_TABLE))
}

fn write_key(key: Option<&Key>, sql: &mut Vec<u8>) {
    match key {
        Some(key) => write_bytes(key.as_bytes(), sql),
        None => sql.extend_from_slice(b"NULL"),
    }
}

/// A string of bytes, safe whatever it holds.
fn write_bytes(bytes: &[u8], sql: &mut Vec<u8>) {
    sql.extend_from_slice(b"x'");
    for byte in bytes {
        sql.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
    sql.push(b'\'');
}
