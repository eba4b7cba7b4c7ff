//! A connection of the control plane that reads one database.

use std::future::Future;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::error::ReadError;
use crate::config::{ClusterTls, Login};
use crate::control;
use crate::ids::ServerId;
use crate::sql::{self, Scan, ServerVersion, SqlMode, TableDefinition, Unread, quote};

/// ER_NO_SUCH_TABLE.
const NO_SUCH_TABLE: u16 = 1146;

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its version.
    pub version: ServerVersion,
    /// `@@global.sql_mode`.
    pub sql_mode: String,
    /// `@@global.time_zone`.
    pub time_zone: String,
}

/// What stands under a table's name.
#[derive(Clone, Debug)]
pub enum Seen {
    /// Nothing; the server's own words.
    Missing {
        /// What it says of a statement that asks for it.
        message: String,
    },
    /// A view.
    View,
    /// A table.
    Table(Box<LiveTable>),
}

/// A table as the server has it.
#[derive(Clone, Debug)]
pub struct LiveTable {
    /// What SHOW CREATE TABLE prints; places in the definition are of this text.
    pub text: String,
    /// The same, read; or why it cannot be.
    pub definition: Result<TableDefinition, Unread>,
}

/// Reads one database of one server.
pub struct Reader {
    conn: Conn,
    database: String,
    within: Duration,
}

impl Reader {
    /// Connects; each question after that takes `within` at most, as does connecting.
    ///
    /// # Errors
    /// No connection; the server refuses the settings.
    pub async fn open(
        server: &ServerId,
        (login, tls): (&Login, &ClusterTls),
        database: &str,
        within: Duration,
    ) -> Result<Self, ReadError> {
        let conn = control::open(server, login, tls, within).await?;
        let mut reader = Self { conn, database: database.to_owned(), within };
        let seconds = within.as_secs().max(1);
        // Definitions are printed as the session's mode has it.
        reader
            .run(&format!(
                "SET SESSION sql_mode = '', sql_quote_show_create = 1, lock_wait_timeout = {seconds}"
            ))
            .await?;
        Ok(reader)
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn facts(&mut self) -> Result<ServerFacts, ReadError> {
        const QUESTION: &str = "SELECT VERSION(), @@global.sql_mode, @@global.time_zone";
        let answer: Option<(String, String, String)> =
            bounded(self.within, self.conn.query_first(QUESTION)).await?;
        let (version, sql_mode, time_zone) = answer.ok_or(ReadError::Odd("its version"))?;
        let version = ServerVersion::parse(&version).ok_or(ReadError::Odd("its version"))?;
        Ok(ServerFacts { version, sql_mode, time_zone })
    }

    /// Says whether the database is there and can be seen.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn exists(&mut self) -> Result<bool, ReadError> {
        const QUESTION: &str = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?";
        let found: Option<u8> =
            bounded(self.within, self.conn.exec_first(QUESTION, (&self.database,))).await?;
        Ok(found.is_some())
    }

    /// Makes the database if it is not there.
    ///
    /// # Errors
    /// See [`ReadError`]; the login may not make databases.
    pub async fn make_database(&mut self) -> Result<(), ReadError> {
        // Asked first: a statement that does nothing would still be written to the binary log.
        if self.exists().await? {
            return Ok(());
        }
        let statement = format!("CREATE DATABASE IF NOT EXISTS {}", quote::identifier(&self.database));
        self.run(&statement).await
    }

    /// What stands under a name. `database` absent: the reader's own.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn table(
        &mut self,
        database: Option<&str>,
        table: &str,
        server: ServerVersion,
    ) -> Result<Seen, ReadError> {
        let question = format!("SHOW CREATE TABLE {}", self.name(database, table));
        let answer: Result<Option<Row>, ReadError> =
            bounded(self.within, self.conn.query_first(question)).await;
        let row = match answer {
            Ok(row) => row.ok_or(ReadError::Odd("a table"))?,
            Err(ReadError::Server { errno: NO_SUCH_TABLE, message, .. }) => {
                return Ok(Seen::Missing { message });
            }
            Err(error) => return Err(error),
        };
        if row.columns_ref().get(1).is_none_or(|column| column.name_str() != "Create Table") {
            return Ok(Seen::View);
        }
        let text: String = row.get_opt(1).and_then(Result::ok).ok_or(ReadError::Odd("a table"))?;
        let definition = read_definition(&text, server);
        Ok(Seen::Table(Box::new(LiveTable { text, definition })))
    }

    /// Says whether the table holds a row. `database` absent: the reader's own.
    ///
    /// # Errors
    /// See [`ReadError`]; a table whose deleted rows are not cleared away yet may take too long.
    pub async fn has_rows(&mut self, database: Option<&str>, table: &str) -> Result<bool, ReadError> {
        let question = format!("SELECT 1 FROM {} LIMIT 1", self.name(database, table));
        let answer: Option<u8> = bounded(self.within, self.conn.query_first(question)).await?;
        Ok(answer.is_some())
    }

    /// Says goodbye; failing does no harm.
    pub async fn close(self) {
        let _ = tokio::time::timeout(self.within, self.conn.disconnect()).await;
    }

    fn name(&self, database: Option<&str>, table: &str) -> String {
        let database = database.unwrap_or(&self.database);
        format!("{}.{}", quote::identifier(database), quote::identifier(table))
    }

    pub(super) async fn run(&mut self, statement: &str) -> Result<(), ReadError> {
        bounded(self.within, self.conn.query_drop(statement)).await
    }

    pub(super) fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    pub(super) fn within(&self) -> Duration {
        self.within
    }
}

/// An answer within its time.
pub(super) async fn bounded<T>(
    within: Duration,
    asked: impl Future<Output = Result<T, mysql_async::Error>>,
) -> Result<T, ReadError> {
    match tokio::time::timeout(within, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(ReadError::Late(within)),
    }
}

fn read_definition(text: &str, server: ServerVersion) -> Result<TableDefinition, Unread> {
    let mode = SqlMode { server, ..SqlMode::default() };
    let mut scan = Scan::default();
    sql::scan(text.as_bytes(), mode, &mut scan);
    sql::read_definition(text.as_bytes(), &scan, mode)
}
