//! The admin port, for a command that may ask many times.

use std::process::ExitCode;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::view::View;
use crate::server::commands::{self, Asked};

/// An answer to a question takes no longer; what plans thousands of databases may.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// ER_PARSE_ERROR: the statement made of the options is none.
const SYNTAX: u16 = 1064;

/// Exit codes of `bulkhead migrate`.
pub(super) const DONE: u8 = 0;
/// It ended with failures, was cancelled, or the order was refused.
pub(super) const FAILED: u8 = 1;
/// Wrong usage, or the proxy cannot be reached.
pub(super) const UNREACHABLE: u8 = 2;
/// The command was interrupted; what it waited for goes on.
pub(super) const INTERRUPTED: u8 = 130;

/// Why a command did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The options cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The proxy cannot be reached, or what it answers is not understood.
    #[error("{0}")]
    Unreachable(String),
    /// The proxy refused it.
    #[error("{0}")]
    Refused(String),
}

impl Fault {
    /// The process's exit code.
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) | Self::Unreachable(_) => UNREACHABLE,
            Self::Refused(_) => FAILED,
        })
    }
}

impl From<mysql_async::Error> for Fault {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(error) if error.code == SYNTAX => Self::Usage(error.message),
            mysql_async::Error::Server(error) => {
                Self::Refused(format!("ERROR {} ({}): {}", error.code, error.state, error.message))
            }
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// One row of an answer: names of columns and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cells(Vec<(String, Option<String>)>);

impl Cells {
    #[cfg(test)]
    pub(super) fn of(cells: &[(&str, Option<&str>)]) -> Self {
        Self(cells.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect())
    }

    /// The value of a column; absent when it is NULL or there is no such column.
    pub(super) fn get(&self, column: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == column);
        found.and_then(|(_, value)| value.as_deref())
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

impl From<&Row> for Cells {
    fn from(row: &Row) -> Self {
        let cell = |(at, column): (usize, &mysql_async::Column)| {
            let value = row.get::<mysql_async::Value, _>(at);
            let value = value.and_then(|value| mysql_async::from_value_opt(value).ok()).flatten();
            (column.name_str().into_owned(), value)
        };
        Self(row.columns_ref().iter().enumerate().map(cell).collect())
    }
}

/// What a statement answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<Cells>,
    pub(super) info: String,
}

/// A connection to the admin port, opened when it is needed.
pub(super) struct Link<'a> {
    asked: Asked<'a>,
    conn: Option<Conn>,
}

impl<'a> Link<'a> {
    pub(super) fn new(asked: Asked<'a>) -> Self {
        Self { asked, conn: None }
    }

    /// Asks a question that is answered soon.
    pub(super) async fn ask(&mut self, statement: &str) -> Result<Answer, Fault> {
        match tokio::time::timeout(ANSWER_WITHIN, self.ask_long(statement)).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
                self.conn = None;
                Err(Fault::Unreachable(format!("no answer within {} s", ANSWER_WITHIN.as_secs())))
            }
        }
    }

    /// Asks for something that takes as long as it takes.
    ///
    /// Cancel safety: the connection is given up; what was asked for may have been done.
    pub(super) async fn ask_long(&mut self, statement: &str) -> Result<Answer, Fault> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => commands::connect(&self.asked).await.map_err(Fault::Unreachable)?,
        };
        let answer: Result<Vec<Row>, mysql_async::Error> = conn.query(statement).await;
        let is_lost = matches!(&answer, Err(error) if !matches!(error, mysql_async::Error::Server(_)));
        let info = conn.info().into_owned();
        if !is_lost {
            self.conn = Some(conn);
        }
        Ok(Answer { rows: answer?.iter().map(Cells::from).collect(), info })
    }

    /// One fleet migration.
    pub(super) async fn view(&mut self, id: &str) -> Result<View, Fault> {
        let answer = self.ask(&format!("SHOW MIGRATION {}", quoted(id))).await?;
        View::of(&answer.rows).ok_or_else(|| Fault::Refused(format!("{id} is no fleet migration")))
    }

    /// Says goodbye; failing does no harm.
    pub(super) async fn close(self) {
        if let Some(conn) = self.conn {
            let _ = conn.disconnect().await;
        }
    }
}

/// Text as the admin port reads it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
