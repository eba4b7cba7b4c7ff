//! Markers: rows that are written to be read again in the binary log.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::super::change::TableName;
use super::super::error::FeedError;
use super::super::feeds::Source;
use super::ground::{failed, open_failed};
use crate::backend::direct::{Direct, DirectError};
use crate::ids::ServerId;
use crate::migrations::ARTIFACTS;
use crate::sql::quote;

/// Name of the table of markers.
const TABLE: &str = "markers";
/// Bound of writing one, tries included.
const WITHIN: Duration = Duration::from_secs(30);
/// Bound of connecting and logging in.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// Pause behind a lost connection.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest wait for a lock, s: of the table, of the database that is to be made.
const LOCK_WAIT_S: u32 = 5;
/// "Unknown database".
const ER_BAD_DB: u16 = 1049;
/// "Table doesn't exist".
const ER_NO_SUCH_TABLE: u16 = 1146;
/// The account may not: of a database, of a table, of the server.
const DENIED_ERRNOS: [u16; 3] = [1044, 1142, 1227];
/// A lock was not had in time, or given up for another.
const WAITED_ERRNOS: [u16; 2] = [1205, 1213];
const DOING: &str = "writing a marker";

/// The table of markers.
pub(in super::super) fn table() -> TableName {
    TableName::new(ARTIFACTS, TABLE)
}

/// Writes markers on one cluster.
pub(in super::super) struct Marker {
    /// Names this process in the table.
    writer: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    direct: Option<Direct>,
    last: u64,
}

impl Marker {
    pub(in super::super) fn new(writer: u64) -> Self {
        Self { writer, state: Mutex::default() }
    }

    /// Writes the next marker; gives its number, and the server, when it is committed.
    pub(in super::super) async fn write(
        &self,
        source: impl Fn() -> Option<Source>,
        missing: impl Fn() -> FeedError,
    ) -> Result<(u64, ServerId), FeedError> {
        let server = source().map(|source| source.server);
        let writing = async {
            // One after the other, so that numbers grow in the order of commits.
            let mut state = self.state.lock().await;
            loop {
                let source = source().ok_or_else(&missing)?;
                // A number whose fate is unknown is not used again.
                state.last += 1;
                let number = state.last;
                match self.attempt(&mut state, &source, number).await {
                    Ok(()) => return Ok((number, source.server)),
                    Err(Failure::Final(error)) => return Err(error),
                    Err(Failure::Lost(error)) => {
                        tracing::debug!(server = %source.server, %error, "no marker written; again");
                        state.direct = None;
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        };
        match timeout(WITHIN, writing).await {
            Ok(written) => written,
            Err(_) => match server {
                Some(server) => Err(FeedError::Late { server, within: WITHIN }),
                None => Err(missing()),
            },
        }
    }

    async fn attempt(&self, state: &mut State, source: &Source, number: u64) -> Result<(), Failure> {
        // A caller that was cancelled leaves a connection that is lost, another primary one that is stale.
        let kept = state.direct.take();
        let kept = kept.filter(|direct| !direct.is_lost() && *direct.server() == source.server);
        let mut direct = match kept {
            Some(direct) => direct,
            None => open(source).await?,
        };
        let table = format!("{}.{}", quote::identifier(ARTIFACTS), quote::identifier(TABLE));
        let sql = format!(
            "INSERT INTO {table} (writer, number, written) VALUES ({writer}, {number}, UTC_TIMESTAMP(6)) \
             ON DUPLICATE KEY UPDATE number = {number}, written = UTC_TIMESTAMP(6)",
            writer = self.writer,
        );
        let written = match direct.execute(&sql).await {
            Err(error) => match what_is_missing(&error) {
                Some(missing) => {
                    create(&mut direct, &source.server, missing).await?;
                    direct.execute(&sql).await
                }
                None => Err(error),
            },
            Ok(end) => Ok(end),
        };
        written.map_err(|error| Failure::of(&source.server, error))?;
        state.direct = Some(direct);
        Ok(())
    }
}

enum Failure {
    /// The connection is lost, or there is none; a lock was not had.
    Lost(FeedError),
    /// Trying again helps nothing.
    Final(FeedError),
}

impl Failure {
    fn of(server: &ServerId, error: DirectError) -> Self {
        if error.errno().is_some_and(|errno| DENIED_ERRNOS.contains(&errno)) {
            return Self::Final(FeedError::Privilege {
                server: server.clone(),
                what: "write markers",
                remedy: "GRANT ALL ON zz_bulkhead.* to the admin login",
            });
        }
        let may_pass = error.is_lost() || error.errno().is_some_and(|errno| WAITED_ERRNOS.contains(&errno));
        let error = failed(server, DOING, error);
        if may_pass { Self::Lost(error) } else { Self::Final(error) }
    }
}

async fn open(source: &Source) -> Result<Direct, Failure> {
    let server = &source.server;
    let opened = Direct::open(server, &source.login, &source.tls, OPEN_WITHIN).await;
    let mut direct = opened.map_err(|error| Failure::Lost(open_failed(server, error)))?;
    let settings = format!(
        "SET SESSION autocommit = 1, sql_mode = 'STRICT_ALL_TABLES', lock_wait_timeout = {LOCK_WAIT_S}, \
         innodb_lock_wait_timeout = {LOCK_WAIT_S}"
    );
    direct.execute(settings).await.map_err(|error| Failure::of(server, error))?;
    Ok(direct)
}

/// What a marker cannot be written for want of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Database,
    Table,
}

fn what_is_missing(error: &DirectError) -> Option<Missing> {
    match error.errno()? {
        ER_BAD_DB => Some(Missing::Database),
        ER_NO_SUCH_TABLE => Some(Missing::Table),
        _ => None,
    }
}

async fn create(direct: &mut Direct, server: &ServerId, missing: Missing) -> Result<(), Failure> {
    match run_all(direct, missing).await {
        // MariaDB says of a table in a database that is not there that the table is missing.
        Err(error) if missing == Missing::Table && what_is_missing(&error) == Some(Missing::Database) => {
            run_all(direct, Missing::Database).await.map_err(|error| Failure::of(server, error))
        }
        made => made.map_err(|error| Failure::of(server, error)),
    }
}

async fn run_all(direct: &mut Direct, missing: Missing) -> Result<(), DirectError> {
    for sql in creation(missing) {
        direct.execute(&sql).await?;
    }
    Ok(())
}

/// What makes it. A CREATE DATABASE that changes nothing, too, waits until nobody holds a table in there, and
/// lets no RENAME pass meanwhile: it is not sent for a table.
fn creation(missing: Missing) -> Vec<String> {
    let database = quote::identifier(ARTIFACTS);
    let table = quote::identifier(TABLE);
    let mut all = Vec::new();
    if missing == Missing::Database {
        all.push(format!(
            "CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        ));
    }
    all.push(format!(
        "CREATE TABLE IF NOT EXISTS {database}.{table} (writer BIGINT UNSIGNED NOT NULL PRIMARY KEY, \
         number BIGINT UNSIGNED NOT NULL, written DATETIME(6) NOT NULL) ENGINE = InnoDB"
    ));
    // Those of processes that ended long ago.
    all.push(format!("DELETE FROM {database}.{table} WHERE written < UTC_TIMESTAMP(6) - INTERVAL 7 DAY"));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::result::ServerError;

    #[test]
    fn a_missing_table_makes_no_database() {
        let refused = |errno| {
            DirectError::Refused(ServerError { errno, sqlstate: *b"42000", message: "no".to_owned() })
        };
        let made = |errno| what_is_missing(&refused(errno)).map(creation);
        let table = made(1146).unwrap();
        assert!(table.iter().all(|sql| !sql.contains("DATABASE")), "{table:?}");
        assert!(table[0].starts_with("CREATE TABLE IF NOT EXISTS `zz_bulkhead`.`markers`"), "{table:?}");
        let both = made(1049).unwrap();
        assert!(both[0].starts_with("CREATE DATABASE") && both[1..] == table[..], "{both:?}");
        assert_eq!(made(1205), None);
    }
}
