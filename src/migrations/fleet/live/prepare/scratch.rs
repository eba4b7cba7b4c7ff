//! What a table would be: asked of a server, with temporary tables that nobody else sees.
//!
//! Only where it cannot be foretold from the statement alone. A temporary table hides a table of its name
//! from its own connection, so a statement that is sent behind it cannot reach any other; a connection that
//! is lost is not used again.

use std::time::Duration;

use tokio::time::timeout;

use crate::backend::direct::{Direct, DirectError};
use crate::ids::ClusterName;
use crate::migrations::engine::client_settings;
use crate::migrations::fleet::definition::Definition;
use crate::migrations::fleet::live::door::FleetError;
use crate::migrations::fleet::live::passing::is_passing;
use crate::migrations::ledger::tables;
use crate::migrations::run::Clusters;
use crate::migrations::{ARTIFACTS, StatementSettings};
use crate::sql::quote::identifier;
use crate::sql::{Lexer, ServerVersion, SqlMode, TokenKind};

/// All questions about one definition take no longer.
const WITHIN: Duration = Duration::from_secs(20);
/// What SHOW CREATE TABLE prints, and what it prints of a temporary table.
const CREATE: &str = "CREATE TABLE ";
const CREATE_TEMPORARY: &str = "CREATE TEMPORARY TABLE ";
/// As definitions are looked at.
const LOOKING: &str = "SET NAMES utf8mb4, SESSION sql_mode = '', SESSION sql_quote_show_create = 1, \
                       SESSION lock_wait_timeout = 5";

/// Why a server did not tell what a table would be.
#[derive(Debug)]
pub(super) enum Untold {
    /// It could not be asked, or not now: in words.
    Unasked(String),
    /// It said that it cannot be: in words.
    Refused(String),
}

impl Untold {
    /// What whoever asked for the plan is told; `unfit` makes an error of a server's refusal.
    pub(super) fn into_error(self, unfit: impl FnOnce(String) -> FleetError) -> FleetError {
        match self {
            Self::Unasked(why) => FleetError::Unread(why),
            Self::Refused(why) => unfit(why),
        }
    }
}

impl From<DirectError> for Untold {
    fn from(error: DirectError) -> Self {
        let is_answer = matches!(&error, DirectError::Refused(refusal) if !is_passing(refusal));
        let words = error.to_string();
        if is_answer { Self::Refused(words) } else { Self::Unasked(words) }
    }
}

impl From<&str> for Untold {
    fn from(why: &str) -> Self {
        Self::Refused(why.to_owned())
    }
}

/// A connection that tries statements out.
pub(super) struct Scratch {
    direct: Direct,
}

impl Scratch {
    /// Connects to a cluster's primary.
    ///
    /// # Errors
    /// In words.
    pub(super) async fn open(clusters: &Clusters, name: &ClusterName) -> Result<Self, String> {
        let cluster = clusters.cluster(name).ok_or_else(|| format!("no cluster {name}"))?;
        let opened = clusters.open(&cluster, &cluster.primary).await;
        Ok(Self { direct: opened.map_err(|error| error.to_string())? })
    }

    /// The server.
    pub(super) fn server(&self) -> ServerVersion {
        ServerVersion::parse(&self.direct.version().text).unwrap_or_default()
    }

    /// `@@global.sql_mode` and `@@global.time_zone`.
    ///
    /// # Errors
    /// In words.
    pub(super) async fn settings(&mut self) -> Result<StatementSettings, String> {
        let question = "SELECT @@global.sql_mode, @@global.time_zone";
        let rows = timeout(WITHIN, self.direct.query(question)).await.map_err(|_| late_words())?;
        let rows = rows.map_err(|error| error.to_string())?;
        let text = |at| rows.first().and_then(|row| row.text(at));
        Ok(StatementSettings {
            sql_mode: text(0).ok_or("the server does not tell its sql_mode")?,
            character_set: "utf8mb4".to_owned(),
            collation: String::new(),
            time_zone: text(1).unwrap_or_default(),
        })
    }

    /// What a table of this definition is after each of the statements.
    ///
    /// # Errors
    /// [`Untold`]: also what a server's temporary tables cannot have (partitions, foreign keys).
    pub(super) async fn altered(
        &mut self,
        before: &Definition,
        statements: &[&str],
        settings: &StatementSettings,
    ) -> Result<Vec<String>, Untold> {
        let asked = self.try_altered(before, statements, settings);
        timeout(WITHIN, asked).await.map_err(|_| late())?
    }

    async fn try_altered(
        &mut self,
        before: &Definition,
        statements: &[&str],
        settings: &StatementSettings,
    ) -> Result<Vec<String>, Untold> {
        let table = identifier(&before.table.name.name.text);
        let rest = before.text.strip_prefix(CREATE).ok_or("its definition is no CREATE TABLE")?;
        tables::make(&mut self.direct).await?;
        self.run(LOOKING).await?;
        self.run(&format!("USE {ARTIFACTS}")).await?;
        self.run(&format!("DROP TEMPORARY TABLE IF EXISTS {table}")).await?;
        self.run(&format!("{CREATE_TEMPORARY}{rest}")).await?;
        let mut made = Vec::with_capacity(statements.len());
        for statement in statements {
            for setting in client_settings(settings) {
                self.run(&setting).await?;
            }
            self.run(statement).await?;
            self.run(LOOKING).await?;
            made.push(self.shown(&table).await?);
        }
        self.run(&format!("DROP TEMPORARY TABLE IF EXISTS {table}")).await?;
        Ok(made)
    }

    /// What CREATE TABLE makes in a database that does not have the table.
    ///
    /// # Errors
    /// [`Untold`].
    pub(super) async fn created(
        &mut self,
        database: &str,
        (table, statement): (&str, &str),
        settings: &StatementSettings,
    ) -> Result<String, Untold> {
        let mode = SqlMode { server: self.server(), ..SqlMode::default() }.with_names(&settings.sql_mode);
        let temporary = as_temporary(statement, mode).ok_or("it is no CREATE TABLE")?;
        let asked = async {
            self.run(&format!("USE {}", identifier(database))).await?;
            for setting in client_settings(settings) {
                self.run(&setting).await?;
            }
            self.run(&temporary).await?;
            self.run(LOOKING).await?;
            let name = identifier(table);
            let shown = self.shown(&name).await?;
            self.run(&format!("DROP TEMPORARY TABLE {name}")).await?;
            Ok(shown)
        };
        timeout(WITHIN, asked).await.map_err(|_| late())?
    }

    async fn shown(&mut self, table: &str) -> Result<String, Untold> {
        let rows = self.direct.query(format!("SHOW CREATE TABLE {table}")).await?;
        let text = rows.first().and_then(|row| row.text(1)).ok_or("the server shows no definition")?;
        let rest = text.strip_prefix(CREATE_TEMPORARY).ok_or("the table is not a temporary one")?;
        Ok(format!("{CREATE}{rest}"))
    }

    async fn run(&mut self, statement: &str) -> Result<(), Untold> {
        Ok(self.direct.execute(statement).await.map(drop)?)
    }

    pub(super) async fn close(self) {
        self.direct.close().await;
    }
}

fn late() -> Untold {
    Untold::Unasked(late_words())
}

fn late_words() -> String {
    format!("no answer within {} s", WITHIN.as_secs())
}

/// CREATE TABLE as one of a temporary table.
fn as_temporary(statement: &str, mode: SqlMode) -> Option<String> {
    let mut lexer = Lexer::new(statement.as_bytes(), mode);
    let token = lexer.next_token();
    let is_create =
        token.kind == TokenKind::Word && token.span.of(statement.as_bytes()).eq_ignore_ascii_case(b"CREATE");
    let (front, rest) = statement.split_at_checked(token.span.end as usize)?;
    is_create.then(|| format!("{front} TEMPORARY{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_made_as_a_temporary_one() {
        let made = |text| as_temporary(text, SqlMode::default());
        assert_eq!(made("create table t (a INT)").as_deref(), Some("create TEMPORARY table t (a INT)"));
        assert_eq!(made("ALTER TABLE t ADD a INT"), None);
        assert_eq!(made(""), None);
    }
}
